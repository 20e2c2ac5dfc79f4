"""Running notebooks: everything is checked first, a failure is kept and shown.

Every notebook takes the same two parameters, in a cell tagged "parameters":

    profile: str = "smoke"  # which params/<profile>.yaml: smoke, desk or paper
    changes: dict = {}  # single settings to alter, e.g. {"training.rounds": 3}
"""

import ast
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import nbformat

from ..errors import ReglError
from ..params import ROOT, load
from ..settings.frozen import nearest
from ..system import heed, spawned

PARAMETERS = ("profile", "changes")


def known(folder: Path = ROOT / "notebooks") -> list[str]:
    """The names of the notebooks in `folder`, each the name of what it makes."""
    return sorted(path.stem for path in folder.glob("*.ipynb"))


def find(names: Sequence[str], folder: Path = ROOT / "notebooks") -> list[Path]:
    """Where the notebooks `names` lie.

    Raises
    ------
    ReglError
        When there is no such notebook, it cannot be read, or it does not take exactly the two
        parameters that it will be given.
    """
    return [_checked(name, folder) for name in names]


def execute(
    names: Sequence[str],
    profile: str,
    changes: Mapping[str, Any],
    out: Path,
    folder: Path = ROOT / "notebooks",
    at_once: int = 2,
    done: Callable[[str], None] = lambda name: None,
) -> None:
    """Run the notebooks `names` of `folder`, several `at_once`, with this very Python.

    What a notebook prints appears as it is printed, by whole lines where another runs beside
    it. The executed copy is `out`/<name>.ipynb; that of a notebook which failed, or did not come
    to its end, is `out`/<name>.failed.ipynb. The working directory is the root of the repository.
    `done` is called with the name of each notebook that has come to its end.

    Raises
    ------
    ReglError
        Before anything runs, when a name, the profile, a change or a parameters cell is wrong;
        at the end, when notebooks failed. The others have run all the same.
    """
    load(profile, changes)
    waiting = find(names, folder)
    out.mkdir(parents=True, exist_ok=True)
    parameters = {"profile": profile, "changes": dict(changes)}
    count, failures = len(waiting), []
    with _processes(min(at_once, count)) as alive:
        while True:
            for process in [it for it in alive if it.path is None][: len(waiting)]:
                print(f"{waiting[0].stem}: runs at profile {profile}", flush=True)
                process.start(waiting[0], parameters, out / waiting.pop(0).name)
            busy = [it for it in alive if it.path is not None]
            if not busy:
                break
            ready = wait([it.pipe for it in busy])
            for process in [it for it in busy if it.pipe in ready]:
                name = process.path.stem
                match process.news(whole_lines=len(alive) > 1):
                    case "done":
                        done(name)
                    case "failed":
                        failures.append(name)
                    case "dead":
                        failures.append(name)
                        alive.remove(process)
    failures += [path.stem for path in waiting]
    if failures:
        told = ", ".join(sorted(failures, key=names.index))
        raise ReglError(
            f"{len(failures)} of {count} notebooks failed: {told}; "
            f"their copies, {out}/<name>.failed.ipynb, show where"
        )


@dataclass
class _Process:
    """A process that runs notebooks, the pipe to it, and the notebook that it runs."""

    process: BaseProcess
    pipe: Connection
    path: Path | None = None
    held: dict[str, str] = field(default_factory=dict)  # beginnings of lines, by stream

    def start(self, path: Path, parameters: dict[str, Any], copy: Path) -> None:
        self.path = path
        with suppress(BrokenPipeError):  # it is dead, which `news` will tell
            self.pipe.send((path, parameters, copy))

    def news(self, whole_lines: bool) -> str:
        """Show what it has to tell: a text, or that it is "done", has "failed" or is "dead"."""
        try:
            kind, text = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            kind, text = "dead", f"{self.path.stem}: its process ended ({self.process.exitcode})"
        if kind in ("stdout", "stderr"):
            text = self.held.pop(kind, "") + text
            end = text.rfind("\n") + 1 if whole_lines else len(text)
            self.held[kind] = text[end:]
            print(text[:end], end="", file=getattr(sys, kind), flush=True)
            return kind
        for stream, rest in self.held.items():
            if rest:
                print(rest, file=getattr(sys, stream), flush=True)
        self.held.clear()
        print(text, file=sys.stdout if kind == "done" else sys.stderr, flush=True)
        self.path = None
        return kind


@contextmanager
def _processes(count: int) -> Iterator[list[_Process]]:
    """`count` processes; an error that leaves the block stops them, and their kernels."""
    processes = []
    try:
        for _ in range(count):
            processes.append(_Process(*spawned(_serve)))
        yield list(processes)
    except BaseException:
        for it in processes:
            it.process.terminate()
        raise
    finally:
        for it in processes:
            it.pipe.close()
        for it in processes:
            it.process.join()


def _serve(pipe: Connection) -> None:
    # The parent says what an interrupt means; a handler, because kernels would inherit SIG_IGN.
    heed(lambda *_: None)
    from .execution import serve  # takes seconds, which the parent need not wait for

    serve(pipe)


def _checked(name: str, folder: Path) -> Path:
    """Where the notebook `name` lies, if it takes the parameters it will be given."""
    names = known(folder)
    if name not in names:
        raise ReglError(
            f"notebook {name!r} is unknown{nearest(name, names)}, expected one of "
            f"{', '.join(names)}: the files {folder.name}/<name>.ipynb"
        )
    path = folder / f"{name}.ipynb"
    try:
        cells = nbformat.read(path, as_version=4).cells
        tagged = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
        found = [_assigned(cell.source) for cell in tagged]
    except Exception as error:  # nbformat, JSON and Python each have their own
        raise ReglError(f"{path}: cannot be read as a notebook: {error}") from None
    if found != [sorted(PARAMETERS)]:
        raise ReglError(
            f"{path}: expected one cell tagged 'parameters' that sets {' and '.join(PARAMETERS)} "
            f"and nothing else, found {found or 'none'}"
        )
    return path


def _assigned(source: str) -> list[str]:
    """The names that the statements of a cell assign to, in alphabetical order."""
    targets = []
    for statement in ast.parse(source).body:
        targets += getattr(statement, "targets", None) or [getattr(statement, "target", statement)]
    return sorted(ast.unparse(target) for target in targets)
