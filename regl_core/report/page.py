"""One page with everything that was made: the verdicts, then each table and figure.

It is put together from the files in figures/<profile> alone. As HTML it holds its pictures and
styles: it can be sent, printed and read without a network. As Markdown it is what a forge shows of
the folder.
"""

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..params import ROOT, Settings
from . import catalogue
from .claims import CLAIMS, Verdict
from .formats import TableLayout, marked
from .notebook_page import render_template
from .provenance import COLUMNS, Provenance
from .rows import spoken
from .story import leading, sentence
from .tables import UNRANKED, laid_out

MARKS = {"holds": "✔", "does not hold": "✘", "no difference": "≈", "not decided": "?"}


def render(
    folder: Path,
    settings: Settings,
    changes: Mapping[str, Any],
    verdicts: Sequence[Verdict],
    made: Provenance,
    root: Path = ROOT,
) -> dict[str, str]:
    """The page on what lies in `folder`, by file. `made` is what it is made with."""
    notebooks = sorted(path.stem for path in root.glob("notebooks/*.ipynb"))
    made_here = catalogue.artefacts(notebooks)
    names = [n for n in catalogue.ORDER if n in made_here or n == catalogue.DRAWN]
    sections = [section for n in names if (section := _section(n, folder, settings, root))]
    claims = [(claim, [v for v in verdicts if v.claim == claim.number]) for claim in CLAIMS]
    pages = {name: f"notebooks/{name}.html" for name in notebooks if name not in made_here}
    shown = {
        "profile": settings.profile,
        "changes": json.dumps(dict(changes), sort_keys=True) if changes else "",
        "claims": [(claim, own) for claim, own in claims if own],
        "counts": Counter(verdict.verdict for verdict in verdicts),
        "marks": MARKS,
        "sections": sections,
        "story": _story(folder, settings),
        "beside": [
            (_opening(root / f"notebooks/{name}.ipynb", name)[0], page)
            for name, page in pages.items()
            if (folder / page).exists()
        ],
        "made": {column: getattr(made, column) for column in COLUMNS},
        "full_name": catalogue.full_name,
    }
    return {name: render_template(f"{name}.j2", **shown) for name in ("index.html", "README.md")}


def _section(name: str, folder: Path, settings: Settings, root: Path) -> dict[str, Any] | None:
    """What is there of the artefact `name`, as the template shows it; None if nothing is.

    lead and drawing are HTML, picture is the base64 of a PNG, links are pairs of text and file.
    """
    files = {ending: folder / f"{name}.{ending}" for ending in catalogue.ENDINGS}
    drawing = root / f"regl_core/paper/{name}.svg"
    files = {ending: file for ending, file in files.items() if file.exists()}
    if not files and not drawing.exists():
        return None
    title, lead = _opening(root / f"notebooks/{name}.ipynb", catalogue.full_name(name))
    grid = None
    if name.startswith("table") and "csv" in files:
        import pandas as pd

        number = int(name.removeprefix("table"))
        layout = laid_out(number, pd.read_csv(files["csv"]), settings)
        grid = _grid(layout) | {"ranked": number not in UNRANKED}
    links = [(ending.upper(), file.name) for ending, file in files.items()]
    if (page := folder / f"notebooks/{name}.html").exists():
        links.insert(0, ("notebook", f"notebooks/{page.name}"))
    return {
        "name": name,
        "full": catalogue.full_name(name),
        "title": title,
        "lead": lead,
        "caption": _caption(files["md"]) if "md" in files else "",
        "table": _table(files["md"]) if "md" in files else "",
        "grid": grid,
        "picture": base64.b64encode(files["png"].read_bytes()).decode() if "png" in files else "",
        "drawing": _inline(drawing.read_text(encoding="utf-8")) if drawing.exists() else "",
        "links": links,
    }


def _opening(notebook: Path, otherwise: str) -> tuple[str, str]:
    """Heading and first paragraph (HTML) of a notebook."""
    if not notebook.exists():
        return otherwise, ""
    import nbformat
    from nbconvert.filters import markdown2html

    heading, *paragraphs = nbformat.read(notebook, as_version=4).cells[0].source.split("\n\n")
    text = paragraphs[0] if paragraphs and not paragraphs[0].startswith("|") else ""
    return heading.lstrip("# ").replace("\n", " "), markdown2html(text)


def _table(file: Path) -> str:
    """A table in Markdown with what stands below it, but for what made it."""
    return file.read_text(encoding="utf-8").split("<!--")[0].strip()


def _caption(table: Path) -> str:
    """What stands below a table in Markdown."""
    lines = table.read_text(encoding="utf-8").splitlines()
    return " ".join(line for line in lines if line and not line.startswith(("|", "<!--")))


def _inline(svg: str) -> str:
    """An SVG file as it may stand within HTML, which needs no names of its languages."""
    return re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg[svg.index("<svg") :])


def _story(folder: Path, settings: Settings) -> dict[str, Any]:
    """What stands first, where Table 2 is there: a sentence, and rows of its means in %."""
    import pandas as pd

    if not (file := folder / "table2.csv").exists():
        return {"sentence": "", "rows": ()}
    layout = laid_out(2, pd.read_csv(file), settings)
    dataset, columns = next(iter(layout.columns.items()))
    found = {setting: leading(layout, dataset, setting) for setting in columns}
    roles = dict.fromkeys(role for own in found.values() for role in own)
    return {
        "sentence": sentence(layout, dataset, columns[0]),
        "heads": [spoken(setting) for setting in columns],
        "rows": [
            (role or "best other baseline", [found[setting].get(role) for setting in columns])
            for role in roles
        ],
    }


def _grid(layout: TableLayout) -> dict[str, Any]:
    """A table as it is shown: the longer side runs down the page.

    Of cells, each with its gain over FedAvg in points, as printed; None where that says nothing.
    """
    several = len(layout.columns) > 1
    columns = {
        (dataset, setting): f"{dataset}, {spoken(setting)}" if several else spoken(setting)
        for dataset, settings in layout.columns.items()
        for setting in settings
    }

    def shown(column: tuple[str, str], method: str) -> tuple[Any, float | None]:
        its, usual = layout.cell(*column, method), layout.cell(*column, "FedAvg")
        compared = its and usual and method != "FedAvg"
        gain = round(its.mean, 1) - round(usual.mean, 1) if compared else math.nan
        return its, None if math.isnan(gain) else gain + 0.0

    cells = [[shown(it, method) for it in columns] for method in layout.methods]
    heads, sides = list(columns.values()), [marked(method) for method in layout.methods]
    if len(heads) > len(sides):
        heads, sides, cells = sides, heads, zip(*cells, strict=True)
    return {"heads": heads, "rows": list(zip(sides, cells, strict=True))}
