"""Whole runs killed, several at once, told to end, without room. `make test-faults`."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pandas as pd
import psutil
import pytest
from toy_runs import Made, Seen, artefacts, copied

from regl_core.engine import Store

pytestmark = pytest.mark.faults

# Kills by what the run is doing: 25, spread at random within each.
AIMS = {"drawing": 6, "tuning": 6, "training": 7, "writing": 6}
KINDS = {"Vanilla": "drawing", "LoraImages": "drawing", "Tuned": "tuning"}
KINDS |= dict.fromkeys(("Trained", "Updated", "Personalized"), "training")
NOTEBOOKS = "runs at profile"
LOST = 60.0  # seconds of a core that a kill may cost


@dataclass(frozen=True)
class Whole:
    """What a run leaves: its files by name, and the kind of every stage by its key."""

    files: dict[str, bytes]
    kinds: dict[str, str]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Whole:
    """What a run leaves that nothing disturbs."""
    root = copied(tmp_path_factory.mktemp("undisturbed"))
    run = Made(root, "report")
    assert run.end() == 0, run.said
    folders = Store(root / ".store").folders()
    return Whole(artefacts(root), {folder.name: folder.parts[-3] for folder in folders})


def aimed(run: Made, seen: Seen, aim: str, kinds: dict[str, str], draw: random.Random) -> None:
    """Wait for a random moment at which `run` does what `aim` says, or for its end."""

    def doing() -> list[str]:
        keys = [name.partition("-")[0] for name in seen.now()]
        return [KINDS.get(kinds[key], "") for key in keys]

    if aim == "writing":
        number = draw.randint(1, 4)  # of the notebooks, the one whose end is near
        run.until(lambda: len(re.findall(r"^\w+: done in", run.said, re.MULTILINE)) >= number)
        time.sleep(draw.uniform(0, 2))
        return
    # The first stages of a worker are mostly the loading of libraries and models.
    number = draw.randint(3, 4)
    run.until(
        lambda: aim in doing() and sum(KINDS.get(kinds[k]) == aim for k in seen.keys) >= number
    )
    end = time.monotonic() + draw.uniform(0, 0.6)
    run.until(lambda: time.monotonic() > end and aim in doing())


def test_kills_at_any_moment_change_nothing(tmp_path, undisturbed):
    draw, hit, lost = random.Random(0), Counter(), 0.0
    aims = [aim for aim, times in AIMS.items() for _ in range(times)]
    copies = count(1)
    while aims:
        root = copied(tmp_path / str(next(copies)))
        while aims:
            seen, run = Seen(root), Made(root, "report")
            aimed(run, seen, aims[0], undisturbed.kinds, draw)
            if run.ended:  # what was left of that kind had been computed between two kills
                break
            killed = seen.now()
            lost = max([lost, *map(seen.spent, killed)])
            run.kill()
            during = {KINDS.get(undisturbed.kinds[it.partition("-")[0]], "more") for it in killed}
            hit.update(during or {"writing" if NOTEBOOKS in run.said else "between"})
            aims.pop(0)
        else:
            run = Made(root, "report")
        assert run.end() == 0, run.said
        found = artefacts(root)
        assert found.keys() == undisturbed.files.keys() and len(found) > 30
        assert [name for name in found if found[name] != undisturbed.files[name]] == []
    kills = sum(AIMS.values())
    print(f"\n{kills} kills, while doing: {dict(hit)}; at most {lost:.1f} s of a stage lost")
    assert all(hit[aim] >= times / 2 for aim, times in AIMS.items()) and lost < LOST


def watched(root: Path, runs: list[Made | subprocess.Popen]) -> list[str]:
    """Wait for the ends of `runs`; the key of each stage that was begun, as often as it was."""
    seen = Seen(root)
    while not all(run.ended if isinstance(run, Made) else run.poll() is not None for run in runs):
        seen.now()
        time.sleep(0.01)
    return seen.keys


def test_several_at_once_compute_once_and_give_the_same_files(tmp_path, undisturbed):
    """`make -j4` with two targets, `make tables` beside it, a notebook's cells as JupyterLab's."""
    root = copied(tmp_path)
    lab = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--stdout"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with open(tmp_path / "lab.txt", "wb") as said:
        notebook = subprocess.Popen(
            [*lab, str(root / "notebooks/table2.ipynb")], env=environment, stdout=said, stderr=said
        )
    both = [Made(root, "-j4", "tables", "figures"), Made(root, "-j4", "tables")]
    begun = watched(root, [*both, notebook])
    assert [run.end() for run in both] == [0, 0], [run.said for run in both]
    assert notebook.wait() == 0, (tmp_path / "lab.txt").read_text()
    report = ("claims.csv", "index.html", "README.md")
    files = {name: data for name, data in undisturbed.files.items() if name not in report}
    assert artefacts(root) == files
    assert len(begun) == len(set(begun)) and set(begun) <= undisturbed.kinds.keys()
    assert not list((root / ".store/tmp").glob("*"))


def test_two_profiles_at_once_share_what_they_have_in_common(tmp_path, undisturbed):
    root = copied(tmp_path)
    shutil.copy(root / "params/smoke.yaml", root / "params/other.yaml")
    both = [Made(root, "tables", "TABLES=1", profile=name) for name in ("smoke", "other")]
    begun = watched(root, both)
    assert [run.end() for run in both] == [0, 0], [run.said for run in both]
    assert len(begun) == len(set(begun)) and set(begun) <= undisturbed.kinds.keys()
    tables = [pd.read_csv(root / f"figures/{name}/table1.csv") for name in ("smoke", "other")]
    pd.testing.assert_frame_equal(*(table.drop(columns="settings") for table in tables))


def test_a_killed_worker_fails_its_stage_alone(tmp_path, undisturbed):
    root = copied(tmp_path)
    seen, run = Seen(root), Made(root, "tables", "TABLES=1 2")

    def training() -> list[str]:
        return [it for it in seen.now() if undisturbed.kinds[it.partition("-")[0]] == "Trained"]

    assert run.until(lambda: bool(training()))
    os.kill(int(training()[0].split("-")[1]), signal.SIGKILL)
    assert run.end() == 2
    assert "1 of" in run.said and "its worker process was killed by SIGKILL" in run.said
    assert "run again to go on from there" in run.said and "not run: table" in run.said
    assert "Traceback" not in run.said
    again = Made(root, "tables", "TABLES=1 2")
    assert again.end() == 0, again.said
    for name, data in artefacts(root).items():
        assert data == undisturbed.files[name]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("when", [r"\d+/\d+ +\d+%", NOTEBOOKS])
def test_an_end_that_is_asked_for_is_told_and_leaves_no_process(tmp_path, how, when):
    root = copied(tmp_path)
    if when == NOTEBOOKS:
        assert Made(root, "tables", "TABLES=1").end() == 0
    run = Made(root, "tables", "TABLES=1")
    assert run.until(when)
    time.sleep(1)
    before = run.processes()
    # Ctrl-C in a terminal reaches all; SIGTERM the one that was started, which passes it on.
    os.killpg(before[0].pid, how) if how == signal.SIGINT else before[0].send_signal(how)
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
SMALL = "disk: results need"  # told before anything is computed


def test_a_full_and_a_read_only_disk_are_told(disk):
    root, mount = disk
    for options, words in (("size=256k", SMALL), ("ro,size=1g", LOCKED)):
        mount(".store", options)
        run = Made(root, "tables", "TABLES=1")
        assert run.end() != 0
        assert words in run.said and "Traceback" not in run.said, run.said
        assert not list(root.glob("figures/smoke/*.csv"))
    mount(".store", "rw,size=64m")
    run = Made(root, "tables", "TABLES=1")
    assert run.until(lambda: re.search(r"\d+/\d+ +\d+%", run.said))
    others = root / ".store/others"  # something else fills the disk while it computes
    with suppress(OSError), others.open("wb", buffering=0) as file:
        while file.write(bytes(2**16)):
            pass
    assert run.end() != 0
    assert FULL in run.said and "Traceback" not in run.said, run.said
    others.unlink()
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
