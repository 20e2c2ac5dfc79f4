"""The runs that notebooks ask for, with the stages that compute them, and computing all of them."""

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ..engine import Stage, Store, closure, run_stages
from ..errors import ReglError
from ..params import ROOT, Settings
from ..pipeline import Pipeline
from ..plan import DryRun, seconds
from ..report import digest
from ..runs import Handed, identity
from ..settings import in_one
from ..system import machines
from .notebooks import Cell, cells


@dataclass(frozen=True)
class Grid:
    """What a notebook asks for, runs as a rule, and the stage that computes each of these."""

    items: Sequence[Any]
    stages: Sequence[Stage]


def grid_of(notebook: Path, profile: str, changes: Mapping[str, Any]) -> Sequence[Any]:
    """The runs that `notebook` asks for: what its cells up to the one tagged "grid" build.

    Of these cells only that is executed which the grid is made of, and not the imports of what
    draws, say.

    Raises
    ------
    ReglError
        No cell is tagged "grid", or those cells fail (a wrong setting, say).
    """
    names: dict[str, Any] = {"__name__": notebook.stem}
    for cell, code in _behind_grid(notebook):
        try:
            exec(compile(code, f"{notebook.name}", "exec"), names)  # our own notebook
        except ReglError:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise ReglError(f"{notebook}: cell {cell.name!r} failed: {what}") from error
        if "parameters" in cell.tags:
            names |= {"profile": profile, "changes": dict(changes)}
    return names["grid"]


def _behind_grid(notebook: Path) -> list[tuple[Cell, ast.Module]]:
    """The code cells up to the grid, each with those of its statements that the grid needs."""
    every = [cell for cell in cells(notebook) if cell.code]
    tagged = [place for place, cell in enumerate(every) if "grid" in cell.tags]
    if not tagged:
        raise ReglError(f"{notebook}: no cell is tagged grid; tag the one that lists the runs")
    found, needed = [], {"grid"}
    for cell in reversed(every[: tagged[0] + 1]):
        kept = []
        for statement in reversed(ast.parse(cell.source).body):
            names = set(_names(statement))
            if names & needed:
                needed |= names
                kept.insert(0, statement)
        found.insert(0, (cell, ast.Module(kept, [])))
    return found


def _names(statement: ast.stmt) -> Iterable[str]:
    """All names that a statement sets, imports or reads."""
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name.partition(".")[0]


def grids(
    names: Sequence[str],
    profile: str,
    changes: Mapping[str, Any],
    folder: Path = ROOT / "notebooks",
    pipeline: Pipeline | None = None,
) -> dict[str, Grid]:
    """What each of the notebooks `names` asks for, without those that have no grid.

    pipeline : builds the stages; None: one that needs all data sets and models.

    Raises ReglError as `grid_of`.
    """
    pipeline, found = pipeline or Pipeline(), {}
    for path in (folder / f"{name}.ipynb" for name in names):
        if any("grid" in cell.tags for cell in cells(path)):
            items = grid_of(path, profile, changes)
            found[path.stem] = Grid(items, [item.stage(pipeline) for item in items])
    return found


def targets(asked: Mapping[str, Grid]) -> list[Stage]:
    """All stages that are asked for."""
    return [stage for grid in asked.values() for stage in grid.stages]


def checked(
    names: Sequence[str],
    settings: Settings,
    changes: Mapping[str, Any],
    store: Store,
    folder: Path = ROOT / "notebooks",
) -> dict[str, Grid]:
    """What `grids` gives, once it is sure that it can be computed here and kept in `store`.

    Raises ReglError with all that is in the way, before anything is decoded or computed.
    """
    packed = store.root / "packed"
    built = DryRun(packed)
    try:
        asked = grids(names, settings.profile, changes, folder, built)
    except ReglError as error:
        own = getattr(error, "problems", [str(error)])
        raise ReglError(in_one(dict.fromkeys([*built.lacking, *own]))) from None
    missing = closure(targets(asked), store.has).values()
    if found := built.problems(missing, settings, store.root):
        raise ReglError(in_one(found))
    if not built.notes:
        return asked
    return grids(names, settings.profile, changes, folder, Pipeline(packed))  # decodes


def compute(asked: Mapping[str, Grid], store: Store, workers: int | None = None) -> None:
    """Say what notebooks ask for, and have all of it in `store`.

    All together, in one pool with one progress bar. Raises ReglError as `run_stages`.
    """
    if stages := targets(asked):
        print(_told(len(asked), stages, len(closure(stages, store.has))), flush=True)
        run_stages(stages, store, workers, seconds=seconds(store.root, machines()))


def hand_over(
    names: Iterable[str],
    asked: Mapping[str, Grid],
    settings: Settings,
    store: Store,
    folder: Path,
) -> None:
    """Write for each notebook of `names` what its kernel is handed: `folder`/<name>.json."""
    for name in names:
        results = None
        if grid := asked.get(name):
            pairs = zip(grid.items, grid.stages, strict=True)
            runs = [pair for pair in pairs if isinstance(pair[0], BaseModel)]
            results = {identity(run): str(store.path(stage)) for run, stage in runs}
        given = Handed(settings=digest(settings), results=results)
        (folder / f"{name}.json").write_text(given.model_dump_json())


def _told(notebooks: int, stages: Sequence[Stage], missing: int) -> str:
    many = "1 notebook" if notebooks == 1 else f"{notebooks} notebooks"
    return (
        f"{len(stages)} runs asked for by {many}, {len({it.key for it in stages})} different; "
        f"{len(closure(stages))} stages behind them, "
        + (f"{missing} to compute" if missing else "all of them there")
    )
