"""Whole runs killed, started twice, terminated; a thousand stores damaged. `make test-faults`."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from pathlib import Path

import psutil
import pytest
from test_store import contents
from toy_stages import Draw, Holder

from regl_core.entry import ENTRY
from regl_core.params import ROOT
from regl_core.store import Store

pytestmark = pytest.mark.faults

KILLS = 25
WRITING = 8  # of them while notebooks write tables and pictures
STORES = 1000
PARTS = ("Makefile", "requirements.lock", "regl_core", "notebooks", "params", "README.md")


class Made:
    """One `make` in a copy of the repository, what it says, and all its processes."""

    def __init__(self, root: Path, *targets: str) -> None:
        self._process = subprocess.Popen(
            ["make", *targets, "PROFILE=smoke", f"VENV={sys.prefix}"],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while part := os.read(self._process.stdout.fileno(), 4096):
            self.said += part.decode(errors="replace")

    def until(self, pattern: str) -> bool:
        """Wait until it says `pattern`; False if it came to its end before."""
        while not re.search(pattern, self.said):
            if self._process.poll() is not None:
                return False
            time.sleep(0.02)
        return True

    def processes(self) -> list[psutil.Process]:
        """make, and all that it has started."""
        try:
            top = psutil.Process(self._process.pid)
            return [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """SIGKILL to every process at once."""
        for process in self.processes():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.end()

    def end(self) -> int:
        """Wait for the end; the exit status."""
        status = self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        return status


def copied(folder: Path) -> Path:
    """A copy of what `make report` needs, with an empty store and no figures."""
    for part in PARTS:
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / part)
    os.utime(folder / "requirements.lock", (0, 0))  # no reason to set up the environment anew
    return folder


def artefacts(root: Path) -> dict[str, bytes]:
    """Every file that notebooks made, by name."""
    return {path.name: path.read_bytes() for path in (root / "figures/smoke").glob("*.*")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    """What a run leaves that nothing disturbs."""
    root = copied(tmp_path_factory.mktemp("undisturbed"))
    run = Made(root, "report")
    assert run.end() == 0, run.said
    return artefacts(root)


def test_kills_at_any_moment_change_nothing(tmp_path, undisturbed):
    root, draw, stages = copied(tmp_path), random.Random(0), Counter()
    for number in range(KILLS):
        run = Made(root, "report")
        writing = number >= KILLS - WRITING
        if run.until("runs at profile" if writing else r"\d+/\d+ +\d+%|runs at profile"):
            time.sleep(draw.uniform(0, 12))
        running = re.findall(r"([A-Z][A-Za-z+]+) \d+/\d+ +\d+%", run.said)
        notebooks = "runs at profile" in run.said
        stages["notebooks" if notebooks else running[-1] if running else "start"] += 1
        run.kill()
    print(f"\n{KILLS} kills, while it computed or ran: {dict(stages)}")
    last = Made(root, "report")
    assert last.end() == 0, last.said
    found = artefacts(root)
    assert found.keys() == undisturbed.keys() and len(found) > 30
    assert [name for name in found if found[name] != undisturbed[name]] == []
    # A stage is repeated as a whole at most: none may take as long as a minute.
    store = Store(root / ".store")
    kinds = {folder.parts[-3] for folder in store.folders()}
    assert max(entry["seconds"] for kind in kinds for entry in store.entries(kind)) < 60


def test_two_at_once_give_the_same_files(tmp_path, undisturbed):
    root = copied(tmp_path)
    both = [Made(root, "-j4", "tables") for _ in range(2)]
    assert [run.end() for run in both] == [0, 0], [run.said for run in both]
    tables = {name: data for name, data in undisturbed.items() if name.startswith("table")}
    assert artefacts(root) == tables
    assert not list((root / ".store/tmp").glob("*"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("when", [r"\d+/\d+ +\d+%", "runs at profile"])
def test_an_end_that_is_asked_for_is_told_and_leaves_no_process(tmp_path, how, when):
    root = copied(tmp_path)
    if when == "runs at profile":
        assert Made(root, "tables", "TABLES=1").end() == 0
    run = Made(root, "tables", "TABLES=1")
    assert run.until(when)
    time.sleep(1)
    before = run.processes()
    # Ctrl-C in a terminal reaches all; SIGTERM the one that runs.
    ours = [it for it in before if "regl_core" in it.cmdline() and it.parent().name() == "make"]
    (os.killpg(run._process.pid, how) if how == signal.SIGINT else ours[0].send_signal(how))
    assert run.end() != 0
    word = "terminated" if how == signal.SIGTERM else "interrupted"
    assert f"{word}; what was computed is kept, run it again to go on" in run.said
    assert "Traceback" not in run.said
    _, alive = psutil.wait_procs(before, timeout=30)
    assert not alive
    again = Made(root, "tables", "TABLES=1")
    assert again.end() == 0, again.said


@pytest.fixture
def disk(tmp_path):
    """A copy, and a function that makes a folder of it a disk of its own, or mounts it anew."""
    root, mounted = copied(tmp_path), set()

    def mount(name: str, options: str) -> None:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        how = f"remount,{options}" if folder in mounted else options
        command = ["mount", "-t", "tmpfs", "-o", how, "none", str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no right to mount a disk here")
        mounted.add(folder)

    yield root, mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


FULL, LOCKED = "the disk is full, nothing more fits below", "Read-only file system; give this user"


def test_a_full_and_a_read_only_disk_are_told(disk):
    root, mount = disk
    for options, words in (("size=256k", FULL), ("ro,size=1g", LOCKED)):
        mount(".store", options)
        run = Made(root, "tables", "TABLES=1")
        assert run.end() != 0
        assert words in run.said and "Traceback" not in run.said, run.said
        assert not list(root.glob("figures/smoke/*.csv"))
    mount(".store", "rw,size=1g")
    last = Made(root, "tables", "TABLES=1")
    assert last.end() == 0, last.said
    assert not list(root.glob(".store/tmp/*"))


def test_what_cannot_be_written_into_figures_is_told(disk):
    root, mount = disk
    mount("figures", "ro,size=1g")
    run = Made(root, "tables", "TABLES=1")
    assert run.end() != 0 and LOCKED in run.said and "Traceback" not in run.said, run.said
    assert not (root / ".store").exists()  # told before anything was computed
    mount("figures", "rw,size=20k")
    run = Made(root, "tables", "TABLES=1")
    assert run.end() != 0 and FULL in run.said and "Traceback" not in run.said, run.said
    assert not list(root.glob("figures/smoke/notebooks/*"))  # neither half a copy nor a record
    mount("figures", "rw,size=1g")
    last = Made(root, "tables", "TABLES=1")
    assert last.end() == 0, last.said
    assert {path.name for path in root.glob("figures/smoke/notebooks/*")} >= {"table1.json"}


def damaged(folder: Path, other: Path, draw: random.Random) -> str:
    """Damage the entry in `folder` in one way; which, in words."""
    file = draw.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    data = bytearray(file.read_bytes())
    ways = ["empty", "truncate", "flip", "grow", "foreign", "delete", "swap", "link", "folder"]
    way = draw.choice([*(ways if data else ways[3:]), "whole", "nowhere", "elsewhere"])
    match way:
        case "empty":
            file.write_bytes(b"")
        case "truncate":
            file.write_bytes(data[: draw.randrange(len(data))])
        case "flip":
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            file.write_bytes(data)
        case "grow":
            file.write_bytes(data + draw.randbytes(draw.randint(1, 9)))
        case "foreign":
            (file.parent / f"{draw.randrange(9)}.bin").write_bytes(draw.randbytes(3))
        case "delete":
            file.unlink()
        case "swap":
            shutil.copy(other / (ENTRY if file.name == ENTRY else "value.txt"), file)
        case "link":
            file.unlink()
            file.symlink_to(other / ENTRY)
        case "folder":
            file.unlink()
            file.mkdir()
        case "whole" | "nowhere" | "elsewhere":  # a file or a link in the place of the entry
            shutil.rmtree(folder)
            match way:
                case "whole":
                    folder.write_bytes(data)
                case "nowhere":
                    folder.symlink_to(folder.with_name("nowhere"))
                case "elsewhere":
                    folder.symlink_to(other, target_is_directory=True)
    return way


def test_no_damaged_store_is_served(tmp_path):
    inner, other = Draw(2), Holder("other")
    outer = Draw(1, (inner,))
    whole = Store(tmp_path / "whole")
    before = {stage: contents(whole.ensure(stage)) for stage in (inner, outer, other)}
    ways, served = Counter(), []
    for number in range(STORES):
        draw = random.Random(number)
        root = tmp_path / "damaged"
        shutil.copytree(whole.root, root)
        victim = draw.choice([outer, inner])
        relative = whole.path(victim).relative_to(whole.root)
        way = damaged(root / relative, whole.path(other), draw)
        ways[way] += 1
        store = Store(root)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            if store.has(victim):
                served.append((number, way))
        assert len(told) == 1 and "\n" not in str(told[0].message), (number, way)
        if number % 10 == 0:
            assert all(contents(store.ensure(stage)) == before[stage] for stage in before)
        shutil.rmtree(root)
    print(f"\n{STORES} damaged stores, {len(served)} of them served: {dict(ways)}")
    assert served == []
