"""Kills at every moment at which something is kept, and what a store holds afterwards."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from toy_clients import Killed

from regl_core.engine import Checkpoint

Found = TypeVar("Found")
LIMIT = 500  # kills; who needs more never ends


@contextmanager
def keeping(deadly: bool) -> Iterator[list[str]]:
    """Within the block all is saved at once, the names of the files told; if `deadly`, it kills."""
    told: list[str] = []
    write = Checkpoint.write

    def watched(self: Checkpoint, value: object) -> None:
        write(self, value)
        told.append(self._path.name)
        if deadly:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # slow, and for power cuts only
        patch.setattr(Checkpoint, "due", True)
        patch.setattr(Checkpoint, "write", watched)
        yield told


def survived(work: Callable[[], Found]) -> Found:
    """What `work` returns in the end, run again after every kill."""
    for _ in range(LIMIT):
        try:
            return work()
        except Killed:
            pass
    raise AssertionError(f"not done after {LIMIT} kills")


def contents(root: Path) -> dict[str, bytes]:
    """The bytes of all that a store holds, but for times and locks."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "entry.json" and "locks" not in path.parts
    }
