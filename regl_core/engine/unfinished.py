"""Folders of stages that are being computed, or were when a kill came, and their checkpoints."""

import os
import shutil
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .stage import CHECKPOINT

OF = "of.txt"  # in a checkpoint: the key of the stage that it belongs to


def saved(folder: Path) -> bool:
    """Whether there is a checkpoint with something in it."""
    return any(path.name != OF for path in Path(folder, CHECKPOINT).glob("*"))


def inherit(left: Iterable[Path], folder: Path, key: str) -> None:
    """Give the empty `folder` of the stage `key` the checkpoint of what is `left`, and delete that.

    A checkpoint of another stage, as one that was copied by hand may be, goes with a warning.
    """
    for old in left:
        if saved(old) and not saved(folder) and _belongs(old, key):
            os.rename(old / CHECKPOINT, folder / CHECKPOINT)
        delete(old)
    if not saved(folder):
        Path(folder, CHECKPOINT).mkdir()
        Path(folder, CHECKPOINT, OF).write_text(key)


def _belongs(folder: Path, key: str) -> bool:
    path = Path(folder, CHECKPOINT, OF)
    with suppress(OSError, UnicodeDecodeError):
        if path.read_text() == key:
            return True
    warnings.warn(f"{path.parent} is of another stage; starting over", stacklevel=5)
    return False


def set_aside(folder: Path, aside: Path) -> None:
    """Move the checkpoint of `folder` to the new folder `aside`."""
    aside.mkdir()
    os.rename(folder / CHECKPOINT, aside / CHECKPOINT)


def clear(folder: Path) -> None:
    """Delete the folder, but for a checkpoint with something in it."""
    if not saved(folder):
        delete(folder)
        return
    for path in folder.glob("*"):
        if path.name != CHECKPOINT:
            delete(path)


def delete(path: Path) -> None:
    """Delete a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
