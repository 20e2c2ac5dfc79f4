"""Writing files that other processes may read, or write too, at the same moment."""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

STALE = 600  # seconds; a file beside its place that is older was left there by a kill


def put(files: Mapping[str, bytes], folder: Path) -> None:
    """Write `files`, by name, into `folder`; none unless all can be.

    What killed writers of the same files have left beside them is deleted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Process numbers alone are not enough: other machines and containers have the same ones.
    sides = {name: folder / f".{name}.{os.getpid()}-{secrets.token_hex(4)}" for name in files}
    try:
        for name, content in files.items():
            sides[name].write_bytes(content)
            _tidy(folder, name, sides[name].stat().st_mtime)
        for name, side in sides.items():
            os.replace(side, folder / name)
    finally:
        for side in sides.values():
            side.unlink(missing_ok=True)


def _tidy(folder: Path, name: str, now: float) -> None:
    """Delete stale files beside `name`; `now` is by the clock that gave them their times."""
    start = f".{name}."
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process tidies too
            if path.name.startswith(start) and path.stat().st_mtime < now - STALE:
                path.unlink()
