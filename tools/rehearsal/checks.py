"""Whether a report has everything that its settings ask for, and numbers that can be."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from regl_core.params import Settings
from regl_core.report import CLAIMS
from tools.expected import cells

CELL = ["dataset", "setting", "method"]


def faults(names: Iterable[str], settings: Settings, folder: Path) -> list[str]:
    """What is missing or cannot be in `folder` of the tables and figures `names`, a line each."""
    return [text for name in names for text in _faults(name, settings, folder)]


def _faults(name: str, settings: Settings, folder: Path) -> Iterator[str]:
    for ending in endings(name):
        file = folder / f"{name}.{ending}"
        if not file.is_file() or not file.stat().st_size:
            yield f"{file.name} is missing or empty"
        elif ending == "csv":
            yield from _wrong(name, pd.read_csv(file), settings)


def endings(name: str) -> tuple[str, ...]:
    """Of the files that a table or figure must have."""
    if name.startswith("table"):
        return "csv", "md", "tex"
    return ("png", "pdf") if name == "fig8" else ("png", "pdf", "csv")  # images, and no numbers


def _wrong(name: str, rows: pd.DataFrame, settings: Settings) -> Iterator[str]:
    expected = {(*cell, seed) for cell in cells(name, settings) for seed in settings.seeds}
    found = set(rows[[*CELL, "seed"]].itertuples(index=False, name=None))
    for word, some in (("lacks", expected - found), ("has", found - expected)):
        if some:
            yield f"{name}.csv {word} {len(some)} cells, such as {sorted(some)[0]}"
    for column in (it for it in rows if it.endswith("_pct")):
        if not rows[column].between(0, 100).all():
            yield f"{name}.csv: {column} is not within 0 to 100 everywhere"


def unfinished(folder: Path, names: Iterable[str]) -> list[str]:
    """What a report in `folder` lacks beside the tables and figures `names`, a line each."""
    files = ["index.html", "claims.csv", *(f"notebooks/{name}.html" for name in names)]
    found = [f"{name} is missing" for name in files if not (folder / name).is_file()]
    if not found:
        judged = set(pd.read_csv(folder / "claims.csv")["claim"])
        found = [
            f"claims.csv lacks claim {n}" for n in sorted({it.number for it in CLAIMS} - judged)
        ]
    return found


def kept(folder: Path) -> dict[str, bytes]:
    """Every file in `folder` that must come out the same again, by name."""
    return {file.name: file.read_bytes() for file in folder.glob("*.*")}
