"""Rehearses the profile paper below build/rehearsal, which it empties first: `make rehearsal`."""

import shutil
import sys

from regl_core.errors import ReglError
from regl_core.params import ROOT

from .acts import rehearse

HOME = ROOT / "build" / "rehearsal"

if __name__ == "__main__":
    shutil.rmtree(HOME, ignore_errors=True)
    try:
        rehearse(HOME)
    except ReglError as error:
        sys.exit(f"error: {error}")
