"""`make status`: what is fresh, stale, missing, and what is not known to be one of these."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..params import ROOT, Settings, load
from ..report import catalogue
from . import freshness
from .notebooks import known


def status(
    profile: str,
    changes: Mapping[str, Any],
    root: Path = ROOT,
    packed: Path | None = None,
) -> str:
    """What is fresh, stale, missing or unknown, and why: each word and reason once, with the names.

    Nothing is decoded: data sets and models need not be at hand. root : where notebooks/ and
    figures/ lie. packed : as for `datasets.load`. Raises ReglError as `grids.grids`.
    """
    settings, folder = load(profile, changes), root / "figures" / profile
    notebooks = root / "notebooks"
    every = known(notebooks)
    paper = catalogue.artefacts(every)
    names = [*paper, *(it for it in every if it not in paper and any(folder.glob(f"{it}.*")))]
    paths = {name: notebooks / f"{name}.ipynb" for name in names}
    now = {name: freshness.unchanged(path, settings, folder) for name, path in paths.items()}
    if others := [name for name in names if now[name] is None]:
        now |= _asked_anew(others, settings, changes, notebooks, packed)
    found = [freshness.state(name, now[name], folder) for name in names]
    return _told([*found, *freshness.summary_states(folder, settings, root, found)])


def _asked_anew(
    names: Sequence[str],
    settings: Settings,
    changes: Mapping[str, Any],
    notebooks: Path,
    packed: Path | None,
) -> dict[str, freshness.Making]:
    """What the artefacts of `names` would be made from, by all stages behind them."""
    from ..datasets import PACKED, Unfit
    from ..plan import DryRun
    from .grids import grids

    built, found = DryRun(packed or PACKED), {}
    data = freshness.data_sets(settings, built)
    for name in names:
        path = notebooks / f"{name}.ipynb"
        try:
            grid = grids([name], settings.profile, changes, notebooks, built).get(name)
            found[name] = freshness.of_notebook(path, grid and grid.stages, settings, data)
        except Unfit as error:  # an image folder of which nothing is published
            bare = freshness.of_notebook(path, [], settings)
            found[name] = replace(bare, lacking=error.problems)
    return found


def _told(states: Sequence[freshness.State]) -> str:
    lines: dict[tuple[str, str], list[str]] = {}
    for word in ("fresh", "stale", "unknown", "missing"):
        for it in (state for state in states if state.word == word):
            for why in it.why or [""]:
                lines.setdefault((word, why), []).append(it.artefact)
    told = (
        f"{word:7}  {why}{': ' * bool(why)}{', '.join(names)}"
        for (word, why), names in lines.items()
    )
    return "\n".join(told)
