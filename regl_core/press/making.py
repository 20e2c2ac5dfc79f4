"""From settings to finished files: what `make tables`, `make figures` and `make report` do."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..errors import Incomplete
from ..params import ROOT, Settings, load
from ..report import catalogue
from ..system import put, writable
from .notebooks import find, known

if TYPE_CHECKING:
    from ..report import Verdict


def make(names: Sequence[str], profile: str, changes: Mapping[str, Any], root: Path = ROOT) -> None:
    """Compute all that the notebooks `names` ask for, together, and then run them.

    Each that comes to its end leaves its page, figures/<profile>/notebooks/<name>.html, too.
    root : where notebooks/ and figures/ lie.

    Where stages failed, those notebooks run that need none of them.

    Raises ReglError: before any computation where a name, a setting or a notebook is wrong, or
    figures/<profile> cannot be written to, or data sets, models, devices, disk or memory are not
    what it takes (`grids.checked`); else as `grids.compute` and `execution.execute`.
    """
    settings, notebooks = load(profile, changes), root / "notebooks"
    find(names, notebooks)

    # These take seconds, for which no error should wait.
    from ..engine import Store
    from ..plan import DryRun
    from ..runs import HANDED, STORE
    from . import freshness
    from .grids import checked, compute, hand_over

    folder, store = root / "figures" / profile, Store(STORE)
    writable(folder / "notebooks")
    asked = checked(names, settings, changes, store, notebooks)
    makings = {
        name: freshness.of_notebook(
            notebooks / f"{name}.ipynb", asked[name].stages if name in asked else None, settings
        )
        for name in names
    }

    def run(ready: Sequence[str]) -> None:
        # Else jsonschema, on which papermill stands, takes seconds for a grammar of web addresses.
        sys.modules.setdefault("rfc3987_syntax", None)
        from ..report import write_page
        from .execution import execute

        def done(name: str) -> None:
            write_page(folder / f"notebooks/{name}.ipynb")
            own = makings[name]
            if name not in asked:  # what it read of data sets has been decoded only now
                found = freshness.data_sets(settings, DryRun(store.root / "packed"))
                own = replace(own, parts=own.parts | found)
            freshness.record(name, own, folder)

        with TemporaryDirectory(prefix="regl-") as private:
            hand_over(ready, asked, settings, store, Path(private))
            handed = {name: {HANDED: f"{private}/{name}.json"} for name in ready}
            out = folder / "notebooks"
            execute(ready, profile, changes, out, notebooks, done=done, variables=handed)

    try:
        compute(asked, store)
    except Incomplete as error:
        lacking = [name for name in asked if not all(map(store.has, asked[name].stages))]
        run([name for name in names if name not in lacking])
        raise Incomplete(f"{error}\nnot run: {', '.join(lacking)}") from None
    run(names)


def report(profile: str, changes: Mapping[str, Any], root: Path = ROOT) -> None:
    """Make every table and figure, the verdicts on the claims, and the page that shows them.

    Raises ReglError as `make`, and where figures/<profile> holds what no notebook makes.
    """
    folder, settings = root / "figures" / profile, load(profile, changes)
    names = known(root / "notebooks")
    catalogue.check(folder, names)
    make(catalogue.artefacts(names), profile, changes, root)
    print(f"all of it: {build(folder, settings, changes, root)}", flush=True)


def build(folder: Path, settings: Settings, changes: Mapping[str, Any], root: Path = ROOT) -> Path:
    """Make claims.csv, README.md and index.html of what lies in `folder`; the last.

    root : where notebooks/ lie.
    """
    import pandas as pd

    from ..report import COLUMNS, claims, page, provenance
    from . import freshness

    catalogue.check(folder, known(root / "notebooks"))
    found: list[Verdict] = []
    for file in (folder / f"{name}.csv" for name in catalogue.ORDER):
        if file.exists():
            runs = pd.read_csv(file).drop(columns=list(COLUMNS), errors="ignore")
            found += claims.judge(file.stem, runs, settings)
    found.sort(key=lambda it: it.claim)
    provenance.write_csv(claims.claims_frame(found), "claims", settings, folder)
    made = provenance.trace("index", settings)
    pages = page.render(folder, settings, changes, found, made, root)
    put({name: text.encode() for name, text in pages.items()}, folder)
    freshness.record(freshness.INDEX, freshness.of_index(folder, settings, root), folder)
    return folder / "index.html"
