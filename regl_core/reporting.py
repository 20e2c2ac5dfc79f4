"""From settings to finished files: what `make tables`, `make figures` and `make report` do."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import gallery
from .notebooks import execute, find, known
from .params import ROOT, Settings, load

if TYPE_CHECKING:
    from .claims import Verdict


def make(names: Sequence[str], profile: str, changes: Mapping[str, Any], root: Path = ROOT) -> None:
    """Compute all that the notebooks `names` ask for, together, and then run them.

    root : where notebooks/ and figures/ lie.

    Raises ReglError: before any computation where a name, a setting or a notebook is wrong,
    else as `planning.compute` and `notebooks.execute`.
    """
    load(profile, changes)
    notebooks = root / "notebooks"
    find(names, notebooks)

    from .planning import compute  # takes seconds, for which no error should wait
    from .runs import STORE
    from .store import Store

    compute(names, profile, changes, Store(STORE), folder=notebooks)
    execute(names, profile, changes, root / "figures" / profile / "notebooks", notebooks)


def report(profile: str, changes: Mapping[str, Any], root: Path = ROOT) -> None:
    """Make every table and figure, the verdicts on the claims, and the page that shows them.

    Raises ReglError as `make`, and where figures/<profile> holds what no notebook makes.
    """
    folder, settings = root / "figures" / profile, load(profile, changes)
    names = known(root / "notebooks")
    gallery.check(folder, names)
    make(gallery.artefacts(names), profile, changes, root)
    print(f"all of it: {build(folder, settings, changes, root)}", flush=True)


def build(folder: Path, settings: Settings, changes: Mapping[str, Any], root: Path = ROOT) -> Path:
    """Make notebooks/*.html, claims.csv and index.html of what lies in `folder`; the last.

    root : where notebooks/ lie.
    """
    from . import artefact, claims, page, provenance
    from .notebook_page import write_page

    names = known(root / "notebooks")
    gallery.check(folder, names)
    for name in gallery.artefacts(names):
        if (notebook := folder / f"notebooks/{name}.ipynb").exists():
            write_page(notebook)
    verdicts = judge(folder, settings)
    found = sorted((it for own in verdicts.values() for it in own), key=lambda it: it.claim)
    artefact.write_csv(claims.frame(found), "claims", settings, folder)
    text = page.render(
        folder, settings, changes, verdicts, provenance.trace("index", settings), root
    )
    artefact.put({"index.html": text.encode()}, folder)
    return folder / "index.html"


def judge(folder: Path, settings: Settings) -> "dict[str, list[Verdict]]":
    """The verdicts on the claims about each artefact whose CSV lies in `folder`."""
    import pandas as pd

    from . import report
    from .provenance import COLUMNS

    verdicts = {}
    for name in gallery.ORDER:
        if (file := folder / f"{name}.csv").exists():
            runs = pd.read_csv(file).drop(columns=list(COLUMNS), errors="ignore")
            verdicts[name] = report.judge(name, runs, settings)
    return verdicts
