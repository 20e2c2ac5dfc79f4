"""Files appear whole or not at all, locks are held by one, and interrupts come when heeded."""

import errno
import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import toy_slow
from filelock import Timeout
from toy_datasets import loader
from toy_stages import Draw

from regl_core.engine import Store
from regl_core.errors import Halt
from regl_core.params import ROOT
from regl_core.system import locked, put, spawned, writable
from regl_core.system.files import STALE
from tools.replica import datasets as replica

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


def test_whether_files_can_be_written_is_asked_without_a_trace(tmp_path):
    writable(tmp_path / "figures" / "desk")
    assert os.listdir(tmp_path) == []
    (tmp_path / "table2.csv").write_text("some")
    writable(tmp_path)
    assert os.listdir(tmp_path) == ["table2.csv"]


def test_a_denied_access_names_the_folder(tmp_path, monkeypatch):
    def denied(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr("tempfile.TemporaryFile", denied)
    with pytest.raises(Halt, match=f"no access to {tmp_path}: Permission denied; give this user"):
        writable(tmp_path / "figures/desk")


def test_one_holds_a_lock_at_a_time(tmp_path):
    path = tmp_path / "new" / "a.lock"
    with locked(path), pytest.raises(Timeout), locked(path, timeout=0):
        pytest.fail("held twice")
    with locked(path, timeout=0):
        pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_disk_without_locks_is_told_and_nothing_marks_a_lock(code, tmp_path, monkeypatch):
    def flock(descriptor: int, how: int) -> None:
        raise OSError(code, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(Halt, match=r"no locks \(flock\).*Lustre: with the option flock"):
        Store(tmp_path).ensure(Draw(1))
    assert not list(tmp_path.glob("tmp/*")) and not list(tmp_path.glob("Draw/*"))
    photos = loader("folder:photos", replica.photos(tmp_path / "photos", ["cat", "dog"]))
    with pytest.raises(Halt, match=r"no locks \(flock\)"):
        photos.load()
    assert not list(photos.store.folders())


def test_an_interrupt_while_it_imports_is_held_back(capfd):
    process, pipe = spawned(toy_slow.answer, "here")
    time.sleep(0.5)  # it is importing
    os.kill(process.pid, signal.SIGINT)
    assert pipe.recv() == "here"
    pipe.send("go on")
    assert pipe.recv() == [signal.SIGINT]
    process.join()
    assert process.exitcode == 0 and capfd.readouterr().err == ""


def test_its_death_ends_the_pipe_and_the_parent_hears_interrupts_as_before():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    process, pipe = spawned(toy_slow.answer, "here")
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    process.kill()
    with pytest.raises(EOFError):
        pipe.recv()
    process.join()


def test_a_script_that_starts_processes_is_not_run_by_them(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from regl_core.system import spawned\n"
        "from toy_slow import ignore\n"
        "process, pipe = spawned(ignore)\n"
        "print(pipe.recv(), __file__, flush=True)\n"
        "process.kill()\n"
    )
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stdout == f"here {script}\n", done.stderr
