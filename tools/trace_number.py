"""How much of regl_core one number of Table 2 passes: its files and functions.

`python -m tools.trace_number` has FedAvg at the first β with the first seed computed at the profile
smoke, in this process and in a new store, and counts the functions that are called, in threads too.
With `--command` it is what a user types, `python -m regl_core run table2` of that number alone, in
a copy of the program; all its processes count: the command's own, the workers and the kernel.

Comprehensions, generator expressions and lambdas belong to the function that holds them and do not
count; bodies of modules and classes do not either. `--list` names all that do.
"""

import argparse
import inspect
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ("regl_core", "notebooks", "params")
FOLDER = "REGL_TRACE"  # names the folder where processes of a command write what they call

Functions = dict[str, set[str]]  # by file


def watch(package: Path, called: Callable[[str, str], None]) -> None:
    """From now on tells the file and the name of each function of `package`, when first called."""
    known: set[Any] = set()

    def event(frame: FrameType, kind: str, _: Any) -> None:
        code = frame.f_code
        if kind != "call" or code in known:
            return
        known.add(code)
        # Bodies of modules and classes are not optimised; the others here have names like <lambda>.
        function = code.co_flags & inspect.CO_OPTIMIZED and not code.co_qualname.endswith(">")
        if function and code.co_filename.startswith(f"{package}{os.sep}"):
            called(str(Path(code.co_filename).relative_to(package)), code.co_qualname)

    threading.setprofile(event)
    sys.setprofile(event)


def in_process() -> Functions:
    """What one number passes that is computed here, from its settings on."""
    from regl_core import params
    from regl_core.engine import Store
    from regl_core.partition import Dirichlet
    from regl_core.pipeline import Pipeline
    from regl_core.runs import Run

    found: Functions = defaultdict(set)
    watch(ROOT / "regl_core", lambda file, name: found[file].add(name))
    settings = params.load("smoke")
    dataset, its = next(iter(settings.datasets.items()))
    run = Run(
        dataset=dataset,
        partition=Dirichlet(beta=settings.betas[0], clients=its.clients),
        method="FedAvg",
        seed=settings.seeds[0],
        settings=settings,
    )
    with tempfile.TemporaryDirectory() as folder:
        stage = run.stage(Pipeline(Path(folder, "packed")))
        print(f"{run.result(Store(Path(folder, 'store')).ensure(stage)).accuracy_pct:.1f} %")
    sys.setprofile(None)
    return found


def of_command() -> Functions:
    """What it passes in all processes of the command that makes Table 2 of this number alone."""
    import yaml

    found: Functions = defaultdict(set)
    with tempfile.TemporaryDirectory() as home:
        copy, calls = Path(home, "program"), Path(home, "calls")
        for part in PROGRAM:
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        profile = copy / "params/smoke.yaml"
        settings = yaml.safe_load(profile.read_text())
        alone = {"betas": settings["betas"][:1], "seeds": settings["seeds"][:1]}
        profile.write_text(yaml.safe_dump(settings | alone | {"methods": {"FedAvg": {}}}))
        calls.mkdir()
        shutil.copy(__file__, calls / "sitecustomize.py")  # every process begins with it
        command = [sys.executable, "-m", "regl_core", "run", "table2", "--profile", "smoke"]
        paths = {"PYTHONPATH": f"{calls}{os.pathsep}{copy}", FOLDER: str(calls)}
        subprocess.run(command, cwd=copy, env=os.environ | paths, check=True)
        for file in calls.glob("*.txt"):
            for line in file.read_text().splitlines():
                where, _, name = line.partition(":")
                found[where].add(name)
    return found


def of_this_process(folder: Path) -> None:
    """Write to `folder` what this process calls, as it goes; it may be killed."""
    file = (folder / f"{os.getpid()}.txt").open("w", buffering=1)
    watch(folder.parent / "program/regl_core", lambda *called: print(*called, sep=":", file=file))


def main() -> None:
    """Counts and prints."""
    parser = argparse.ArgumentParser(prog="python -m tools.trace_number", description=__doc__)
    parser.add_argument("--command", action="store_true", help="all processes of the command")
    parser.add_argument("--list", action="store_true", help="print every function")
    asked = parser.parse_args()
    found = of_command() if asked.command else in_process()
    if asked.list:
        for file, functions in sorted(found.items()):
            print(f"{file}: {', '.join(sorted(functions))}")
    print(f"{sum(map(len, found.values()))} functions in {len(found)} files of regl_core")


if __name__ == "__main__":
    main()
elif __name__ == "sitecustomize":
    of_this_process(Path(os.environ[FOLDER]))
