"""The runs that notebooks ask for, as stages, and computing all of them together."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import nbformat

from ..engine import Stage, Store, closure, run_stages
from ..errors import ReglError
from ..params import ROOT, Settings
from ..pipeline import Pipeline
from ..plan import preflight
from ..plan.dry_run import Outline


class Item(Protocol):
    """What a grid lists: something that knows the stage which computes it."""

    def stage(self, pipeline: Pipeline) -> Stage: ...


def grid_of(notebook: Path, profile: str, changes: Mapping[str, Any]) -> Sequence[Item]:
    """The runs that `notebook` asks for: what its cells up to the one tagged "grid" build.

    These cells only import, load settings and list runs; they compute nothing.

    Raises
    ------
    ReglError
        No cell is tagged "grid", or those cells fail (a wrong setting, say).
    """
    names: dict[str, Any] = {"__name__": notebook.stem}
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        try:
            exec(compile(cell.source, f"{notebook.name}", "exec"), names)  # our own notebook
        except ReglError:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise ReglError(f"{notebook}: cell {cell.get('id', '')!r} failed: {what}") from error
        if "parameters" in _tags(cell):
            names |= {"profile": profile, "changes": dict(changes)}
        if "grid" in _tags(cell):
            return names["grid"]
    raise ReglError(f"{notebook}: no cell is tagged grid; tag the one that lists the runs")


def compute(asked: Mapping[str, Sequence[Stage]], store: Store, workers: int | None = None) -> None:
    """Say what notebooks ask for (`targets_of`), and have all of it in `store`.

    All together, in one pool with one progress bar. Raises ReglError as `run_stages`.
    """
    targets = [stage for own in asked.values() for stage in own]
    if targets:
        print(_told(len(asked), targets, len(closure(targets, store.has))), flush=True)
        run_stages(targets, store, workers)


def targets_of(
    names: Sequence[str],
    profile: str,
    changes: Mapping[str, Any],
    folder: Path = ROOT / "notebooks",
    pipeline: Pipeline | None = None,
) -> dict[str, list[Stage]]:
    """The stages that each of the notebooks `names` asks for, without those that have no grid.

    pipeline : builds them; None: one that needs all data sets and models.

    Raises ReglError as `grid_of`.
    """
    paths = [path for path in (folder / f"{name}.ipynb" for name in names) if _has_grid(path)]
    pipeline = pipeline or Pipeline()
    return {
        path.stem: [item.stage(pipeline) for item in grid_of(path, profile, changes)]
        for path in paths
    }


def checked(
    names: Sequence[str],
    settings: Settings,
    changes: Mapping[str, Any],
    store: Store,
    folder: Path = ROOT / "notebooks",
) -> dict[str, list[Stage]]:
    """What `targets_of` gives, once it is sure that it can be computed here and kept in `store`.

    Raises ReglError as `preflight.check` and `targets_of`, before anything is decoded or computed.
    """
    packed = store.root / "packed"
    outline = Outline(packed)
    try:
        asked = targets_of(names, settings.profile, changes, folder, outline)
    except ReglError as error:
        own = getattr(error, "problems", [str(error)])
        raise preflight.refusal([*outline.lacking, *own]) from None
    targets = [stage for own in asked.values() for stage in own]
    preflight.check(targets, outline, settings, store)
    if not outline.notes:
        return asked
    return targets_of(names, settings.profile, changes, folder, Pipeline(packed))  # decodes


def _told(notebooks: int, targets: Sequence[Stage], missing: int) -> str:
    many = "1 notebook" if notebooks == 1 else f"{notebooks} notebooks"
    different = len({target.key for target in targets})
    return (
        f"{len(targets)} runs asked for by {many}, {different} different; "
        f"{len(closure(targets))} stages behind them, "
        + (f"{missing} to compute" if missing else "all of them there")
    )


def _has_grid(notebook: Path) -> bool:
    cells = nbformat.read(notebook, as_version=4).cells
    return any("grid" in _tags(cell) for cell in cells)


def _tags(cell: nbformat.NotebookNode) -> Sequence[str]:
    return cell.metadata.get("tags", ())
