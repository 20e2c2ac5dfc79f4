"""What every room asks of the operating system: files, locks, processes, devices and memory.

It knows nothing of stages or of learning, and imports torch only where a device is asked for.
"""

from .files import check_room, explained, locked, put, sync, writable
from .machine import (
    cores,
    gpus,
    heed,
    machines,
    one_thread,
    places,
    resolved,
    spawned,
)
from .memory import Fitting, advised

__all__ = [
    "Fitting",
    "advised",
    "check_room",
    "cores",
    "explained",
    "gpus",
    "heed",
    "locked",
    "machines",
    "one_thread",
    "places",
    "put",
    "resolved",
    "spawned",
    "sync",
    "writable",
]
