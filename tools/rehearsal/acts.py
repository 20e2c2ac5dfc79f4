"""What a reproducer types, one after the other, each as a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regl_core.errors import ReglError
from regl_core.params import load
from regl_core.press.notebooks import known
from regl_core.report import catalogue
from regl_core.settings import in_one

from . import scene
from .changes import ALL, changes, changes_for_resnet34
from .checks import faults, kept, unfinished

ROOTS = tuple(f"datasets.{name}.root" for name in ALL)
MODELS = ("foundation.name", "foundation.image_encoder", "foundation.captioner")


@dataclass(frozen=True)
class Program:
    """A copy of the program at `root`, run at the profile paper with `changes`."""

    root: Path
    changes: Mapping[str, Any]

    @property
    def figures(self) -> Path:
        """Where its tables and figures lie."""
        return self.root / "figures" / "paper"

    def told(self, *arguments: str, status: int = 0, words: tuple[str, ...] = ()) -> str:
        """What the command with `arguments` prints, while it does and as a whole.

        Raises ReglError where its exit status is not `status`, it does not say all of `words`, or
        it shows a traceback.
        """
        altered = [f"{key}={json.dumps(value)}" for key, value in self.changes.items()]
        command = [sys.executable, "-m", "regl_core", *arguments, "--profile", "paper"]
        with _timed(" ".join(arguments)):
            done = subprocess.Popen(
                [*command, "--set", *altered],
                cwd=self.root,
                env={**os.environ, "PYTHONPATH": str(self.root), "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
            )
            said = ""
            with done:
                for line in done.stdout:
                    print(f"  {line}", end="", flush=True)
                    said += line
        wrong = [f"it does not say {word!r}" for word in words if word not in said]
        if done.returncode != status:
            wrong.append(f"its exit status is {done.returncode}, expected {status}")
        if "Traceback" in said:
            wrong.append("it shows a traceback")
        if wrong:
            raise ReglError(in_one(f"{' '.join(arguments)}: {text}" for text in wrong))
        return said


def rehearse(home: Path) -> None:
    """Plays all of it below `home`, which must not be there, and prints what each act takes.

    Raises ReglError that says which act went wrong, or what the report lacks.
    """
    start = time.monotonic()
    with _timed("copy of the program"):
        program = Program(scene.program(home / "program"), changes(home))
    _nothing_there(program)
    with _timed("replicas of data sets and models"):
        scene.replicas(home)
    for command in ("data", "models", "plan"):
        program.told(command)
    _whole_report(program)
    _resnet34(Program(program.root, changes_for_resnet34(home)))
    print(f"rehearsed in {time.monotonic() - start:.0f} s", flush=True)


def _nothing_there(program: Program) -> None:
    """Without data and models: all that is missing is told at once, and nothing is written."""
    program.told("data", status=2, words=ROOTS)
    program.told("models", status=2, words=MODELS)
    program.told("plan", words=(*ROOTS, *MODELS))
    program.told("report", status=2, words=(*ROOTS, *MODELS))
    written = [name for name in (".store", "figures") if (program.root / name).exists()]
    if written:
        raise ReglError(f"without data and models something was written: {', '.join(written)}")


def _whole_report(program: Program) -> None:
    """Every table and figure, and again: everything is there, and comes out the same."""
    names = catalogue.artefacts(known(program.root / "notebooks"))
    settings = load("paper", program.changes)
    program.told("report")
    found = faults(names, settings, program.figures) + unfinished(program.figures, names)
    if found:
        raise ReglError(in_one(found))
    before = kept(program.figures)
    program.told("report", words=("all of them there",))
    after = kept(program.figures)
    if others := sorted(name for name in before | after if before.get(name) != after.get(name)):
        raise ReglError(f"a second report gives other bytes: {', '.join(others)}")


def _resnet34(program: Program) -> None:
    """The first step that is advised to a reproducer: one table, one data set, one seed."""
    chosen = ("--datasets", "eurosat", "--seeds", "0")
    changes = {key: it for key, it in program.changes.items() if key != "seeds"}
    Program(program.root, changes).told("run", "table2", *chosen)
    settings = load("paper", {**changes, "datasets": ["eurosat"], "seeds": [0]})
    if found := faults(["table2"], settings, program.figures):
        raise ReglError(in_one(found))


@contextmanager
def _timed(what: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - start:.0f} s", flush=True)
