"""`make status`: what is fresh, stale, missing, and what is not known to be one of these."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..params import ROOT, load
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
    from ..datasets import PACKED, Unfit

    settings, folder = load(profile, changes), root / "figures" / profile
    notebooks = root / "notebooks"
    every = known(notebooks)
    paper = catalogue.artefacts(every)
    names = [*paper, *(it for it in every if it not in paper and any(folder.glob(f"{it}.*")))]
    found, built, data = [], None, {}
    for name in names:
        path = notebooks / f"{name}.ipynb"
        if (now := freshness.unchanged(path, settings, folder)) is None:
            from ..plan import DryRun
            from .grids import grids

            built = built or DryRun(packed or PACKED)
            data = data or freshness.data_sets(settings, built)
            try:
                grid = grids([name], profile, changes, notebooks, built).get(name)
                now = freshness.of_notebook(path, grid and grid.stages, settings, data)
            except Unfit as error:  # an image folder of which nothing is published
                now = freshness.of_notebook(path, [], settings, lacking=error.problems)
        found.append(freshness.state(name, now, folder))
    return _told([*found, freshness.state_of_index(folder, settings, root, found)])


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
