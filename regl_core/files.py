"""Writing files that other processes may read, or write too, at the same moment."""

import os
from collections.abc import Mapping
from pathlib import Path


def put(files: Mapping[str, bytes], folder: Path) -> None:
    """Write `files`, by name, into `folder`; none unless all can be."""
    folder.mkdir(parents=True, exist_ok=True)
    sides = {name: folder / f".{name}.{os.getpid()}" for name in files}
    try:
        for name, content in files.items():
            sides[name].write_bytes(content)
        for name, side in sides.items():
            os.replace(side, folder / name)
    finally:
        for side in sides.values():
            side.unlink(missing_ok=True)
