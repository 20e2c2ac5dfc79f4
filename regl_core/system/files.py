"""Files and locks that processes share, and what to do where a disk is full or access denied."""

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from ..errors import Halt, ReglError

STALE = 600  # seconds; a file beside its place that is older was left there by a kill
SPARE = 2**20  # bytes; with less than this free, a failure is laid to the disk being full
LACKING = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # what flock says where there is none


def put(files: Mapping[str, bytes], folder: Path, synced: bool = False) -> None:
    """Write `files`, by name, into `folder`; none unless all can be.

    synced: they have reached the disk before they take their places, in case the power fails.
    What killed writers of the same files have left beside them is deleted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Process numbers alone are not enough: other machines and containers have the same ones.
    sides = {name: folder / f".{name}.{os.getpid()}-{secrets.token_hex(4)}" for name in files}
    try:
        for name, content in files.items():
            sides[name].write_bytes(content)
            if synced:
                sync(sides[name])
            now = sides[name].stat().st_mtime  # by the clock that gave others their times
            for left in folder.glob(f".{name}.*"):
                with suppress(FileNotFoundError):  # another process tidies too
                    if left.stat().st_mtime < now - STALE:
                        left.unlink()
        for name, side in sides.items():
            os.replace(side, folder / name)
    finally:
        for side in sides.values():
            side.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Make sure that a file, or the list of names in a folder, has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Within the block, which writes below `folder`, a full disk and a denied access are a Halt."""
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


def check_room(needed: float, folder: Path, what: str, otherwise: str = "") -> None:
    """Make sure that `what` can write `needed` bytes below `folder`. ReglError if it cannot."""
    free = shutil.disk_usage(_there(folder)).free
    if needed > free:
        raise ReglError(
            f"{what} need {needed / 1e9:.1f} GB more below {folder}, where {free / 1e9:.1f} GB are "
            f"free; free some space{otherwise}"
        )


def writable(folder: Path) -> None:
    """Make sure that files can be written into `folder`, or where it will lie. Halt if not.

    Nothing is left behind: who has asked may yet find that there is nothing to write.
    """
    with explained(folder), tempfile.TemporaryFile(dir=_there(folder)) as file:
        file.write(b"x")


def _there(folder: Path) -> Path:
    """`folder`, or the innermost one around it that exists."""
    return next(it for it in (folder, *folder.absolute().parents) if it.exists())


@contextmanager
def locked(path: Path, timeout: float = -1) -> Iterator[None]:
    """Hold the lock `path` within the block, which waits for it up to `timeout` seconds.

    The system frees the lock of a killed process, also on other machines. Without flock there is
    none: a file that marks a lock would outlive a kill, and all others would wait for ever.

    Raises
    ------
    Timeout
        Another process holds it (filelock's).
    Halt
        The file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=timeout, poll_interval=0.1, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno in LACKING:
            raise Halt(
                f"the file system of {path.parent} hands out no locks (flock), without which "
                "several processes would spoil each other's files; mount it with them (Lustre: "
                "with the option flock; NFS: without nolock), or choose a folder on another disk"
            ) from error
        raise
    try:
        yield
    finally:
        lock.release()
