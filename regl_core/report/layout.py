"""Rows, columns and cells of a table of the paper, with our numbers beside its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .rows import CELL, POOLED

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cell:
    """Mean and standard deviation over the seeds in %, ours and the paper's; NaN for none."""

    mean: float
    std: float  # n - 1 in the denominator; NaN for a single seed
    paper_mean: float
    paper_std: float
    place: int  # among ours in the column: 1 is best; 0 for a reference


@dataclass(frozen=True)
class TableLayout:
    """Rows, columns and cells, before any format."""

    methods: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]  # settings of each data set
    cells: dict[tuple[str, str, str], Cell]  # by data set, setting and method

    def is_reference(self, method: str) -> bool:
        """Whether one number of the method stands for all settings."""
        return any((dataset, POOLED, method) in self.cells for dataset in self.columns)

    def cell(self, dataset: str, setting: str, method: str) -> Cell | None:
        pooled = POOLED if self.is_reference(method) else setting
        return self.cells.get((dataset, pooled, method))


def arrange(runs: pd.DataFrame, paper: pd.DataFrame) -> TableLayout:
    """Lay out the table of `runs`: a row per method, a column per data set and setting.

    Methods stand in the paper's order, with references before and methods unknown to the paper
    after them; columns stand in the order of `runs`. Means that print alike share a place.

    Parameters
    ----------
    runs
        One row per run, columns ``dataset``, ``setting``, ``method``, ``seed``, ``accuracy_pct``.
    paper
        Columns ``dataset`` (as in `runs`), ``setting``, ``method``, ``accuracy_pct``, ``std_pct``.
    """
    stats = runs.groupby(CELL, sort=False)["accuracy_pct"].agg(["mean", "std"])
    printed = stats["mean"].map("{:.1f}".format).astype(float)
    places = printed.groupby(level=CELL[:2]).rank("dense", ascending=False).astype(int)
    rivals = stats.index.get_level_values("setting") != POOLED
    stats = stats.join(paper.set_index(CELL)[["accuracy_pct", "std_pct"]])
    stats["place"] = places * rivals
    cells = {key: Cell(*row) for key, *row in stats.itertuples(name=None)}

    pooled = runs.loc[runs["setting"] == POOLED, "method"]
    run = set(runs["method"])
    known = [method for method in paper["method"] if method in run]
    columns = {}
    for dataset, own in runs.groupby("dataset", sort=False):
        settings = dict.fromkeys(own["setting"])
        columns[dataset] = tuple(s for s in settings if s != POOLED) or (POOLED,)
    return TableLayout(tuple(dict.fromkeys([*pooled, *known, *runs["method"]])), columns, cells)
