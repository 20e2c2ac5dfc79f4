"""Files appear whole or not at all, whoever writes, reads or is killed."""

import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from regl_core.engine.files import STALE, put

SPAWN = multiprocessing.get_context("spawn")
OLD, NEW = b"old" * 10, b"new" * 10_000


def _killed(folder: Path, before: int) -> None:
    """In a process of its own: killed before its write or rename number `before`."""
    left = before

    def counted(step):
        def stepped(*args):
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args)

        return stepped

    Path.write_bytes, os.replace = counted(Path.write_bytes), counted(os.replace)
    put({"a.csv": NEW, "b.csv": NEW}, folder)


def aged(folder: Path, seconds: float) -> None:
    """What is hidden in `folder` was written so much earlier."""
    for path in folder.glob(".*"):
        time = path.stat().st_mtime - seconds
        os.utime(path, (time, time))


@pytest.mark.parametrize("before", range(4))
def test_a_kill_between_writing_and_renaming_leaves_whole_files(before, tmp_path):
    put({"a.csv": OLD, "b.csv": OLD}, tmp_path)
    process = SPAWN.Process(target=_killed, args=(tmp_path, before))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    found = {path.name: path.read_bytes() for path in tmp_path.glob("[!.]*")}
    assert found == {"a.csv": NEW if before > 2 else OLD, "b.csv": OLD}
    left = len(list(tmp_path.glob(".*")))
    assert left == min(before, 4 - before)
    put({"a.csv": OLD, "b.csv": OLD}, tmp_path)
    assert len(list(tmp_path.glob(".*"))) == left  # perhaps of one who is still writing
    aged(tmp_path, STALE + 1)
    (tmp_path / ".mine.csv").write_bytes(b"")
    aged(tmp_path, STALE + 1)
    put({"a.csv": OLD, "b.csv": OLD}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv", ".mine.csv"}


def test_none_is_there_unless_all_can_be(tmp_path):
    put({"a.csv": OLD}, tmp_path)
    with pytest.raises(OSError):
        put({"a.csv": NEW, "none/b.csv": NEW}, tmp_path)
    assert {it.name: it.read_bytes() for it in tmp_path.iterdir()} == {"a.csv": OLD}


def test_writers_with_one_number_and_a_reader_meet_no_half_file(tmp_path, monkeypatch):
    """As on machines that share a disk, or in containers, where small numbers are the rule."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    contents = [bytes([65 + number]) * (50_000 * (number + 1)) for number in range(3)]
    put({"a.csv": contents[0]}, tmp_path)
    with ThreadPoolExecutor(3) as pool:
        writes = [
            pool.submit(partial(put, {"a.csv": contents[number % 3]}, tmp_path))
            for number in range(300)
        ]
        while not all(write.done() for write in writes):
            assert (tmp_path / "a.csv").read_bytes() in contents
    assert [write.exception() for write in writes] == [None] * 300
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
