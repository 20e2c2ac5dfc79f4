"""What running notebooks would compute, said before any of it is computed."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..engine import Store, closure
from ..params import ROOT, load
from ..system import cores, gpus
from . import architectures, calibration, counts, preflight
from .budget import survey
from .budget_page import told
from .dry_run import Outline
from .rates import Rates
from .work import Work


def plan_notebooks(
    names: Sequence[str],
    profile: str,
    changes: Mapping[str, Any],
    store: Store,
    workers: int | None = None,
    folder: Path = ROOT / "notebooks",
    calibrate: bool = False,
) -> str:
    """Tables in words: what the notebooks ask for, what it takes, and how we know.

    Data sets and models need not be at hand. workers : processes; None: one for each GPU, or core
    where none is needed. calibrate : measure the speed of this machine anew; a GPU of which none
    is known is measured anyway.

    Raises ReglError as `grid_of`.
    """
    from ..press.grids import grid_of

    settings, outline = load(profile, changes), Outline(store.root / "packed")
    asked = {
        name: [item.stage(outline) for item in grid_of(folder / f"{name}.ipynb", profile, changes)]
        for name in names
    }
    targets = [stage for own in asked.values() for stage in own]
    missing = closure(targets, store.has)
    works = [counts.of(stage) for stage in missing.values()]
    measured = calibration.measure(works, settings, store.root, anew=calibrate)
    rates = Rates.known(store.root)
    many = workers or cores(), workers or len(gpus())
    found = survey(asked, missing, rates, settings.foundation, *many)
    problems = preflight.problems(works, outline, settings, store.root)
    told_of = [f"before it can run: {text}" for text in dict.fromkeys(problems)]
    return told(found, [*outline.notes, *_stand_ins(works), *measured, *told_of])


def _stand_ins(works: Iterable[Work]) -> list[str]:
    """What models that are not at hand are taken for."""
    units = (unit for work in works for unit in work if unit.model and not unit.side)
    models = {(it.model, it.revision): it for it in units}
    return [
        f"model {' at '.join(filter(None, model))}: not at hand, planned with the architecture of "
        f"{architectures.stand_in(it)}"
        for model, it in sorted(models.items())
        if architectures.at_hand(*model) is None
    ]
