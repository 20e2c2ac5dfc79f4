"""A full disk and a denied access, told with what to do about them."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import Halt, ReglError

SPARE = 2**20  # bytes; with less than this free, a failure is laid to the disk being full


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Within the block, in which something writes below `folder`, both are a Halt."""
    try:
        yield
    except ReglError:
        raise
    except Exception as error:
        code = getattr(error, "errno", None)
        if code in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Halt(
                f"no access to {error.filename or folder}: {error.strerror}; give this user the "
                "right to it or choose another folder"
            ) from error
        # Libraries that write hide a full disk in errors of their own.
        full = code in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error)
        if full or (folder.exists() and shutil.disk_usage(folder).free < SPARE):
            raise Halt(
                f"the disk is full, nothing more fits below {folder}; free some space and run "
                "again: what is finished is kept"
            ) from error
        raise


def check_room(needed: int, folder: Path, what: str, otherwise: str = "") -> None:
    """Make sure that `what` can write `needed` bytes below `folder`. ReglError if it cannot."""
    there = next(it for it in (folder, *folder.parents) if it.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ReglError(
            f"{what} need {needed / 1e9:.1f} GB more below {folder}, where {free / 1e9:.1f} GB are "
            f"free; free some space{otherwise}"
        )


def writable(folder: Path) -> None:
    """Make sure that files can be written into `folder`, or where it will lie. Halt if not.

    Nothing is left behind: who has asked may yet find that there is nothing to write.
    """
    there = next(it for it in (folder, *folder.parents) if it.exists())
    with explained(folder), tempfile.TemporaryFile(dir=there) as file:
        file.write(b"x")
