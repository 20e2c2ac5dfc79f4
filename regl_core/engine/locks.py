"""Locks between processes, on one machine or several; the system frees those of a killed one."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ..errors import Halt

LACKING = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # what flock says where there is none


@contextmanager
def locked(path: Path, timeout: float = -1) -> Iterator[None]:
    """Hold the lock `path` within the block, which waits for it up to `timeout` seconds.

    Without flock there is no lock: a file that marks one would outlive a kill, and all others
    would wait for ever.

    Raises
    ------
    Timeout
        Another process holds it.
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
