"""Tables with our numbers beside the paper's: rows, columns and cells, and two formats of them."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .comparison import CONTROLS
from .rows import CELL, POOLED, spoken

if TYPE_CHECKING:
    import pandas as pd

DIVERGED = "diverged"
MARK = "†"  # of a control
_ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "β": r"$\beta$", "±": r"$\pm$", MARK: r"\dag{}"}
)


@dataclass(frozen=True)
class Cell:
    """Mean and standard deviation over the seeds in %, ours and the paper's; NaN for none."""

    mean: float  # NaN: a run has diverged
    std: float  # n - 1 in the denominator; NaN for a single seed
    paper_mean: float
    paper_std: float
    place: int  # among ours in the column: 1 is best; 0 for what is no rival or has diverged


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


def arrange(runs: pd.DataFrame, paper: pd.DataFrame, ranked: bool = True) -> TableLayout:
    """Lay out the table of `runs`: a row per method, a column per data set and setting.

    Methods stand in the paper's order, with references before, and methods unknown to the paper
    and then controls after them; columns stand in the order of `runs`. Means that print alike
    share a place; references and controls have none.

    Parameters
    ----------
    runs
        One row per run, columns ``dataset``, ``setting``, ``method``, ``seed``, ``accuracy_pct``.
    paper
        Columns ``dataset`` (as in `runs`), ``setting``, ``method``, ``accuracy_pct``, ``std_pct``.
    ranked
        Whether the methods of a column are rivals; if not, none has a place.
    """
    import pandas as pd

    found = runs.groupby(CELL, sort=False)["accuracy_pct"]
    stats = pd.DataFrame({"mean": found.mean(skipna=False), "std": found.std(skipna=False)})
    printed = stats["mean"].map("{:.1f}".format).astype(float)
    rival = ranked & (stats.index.get_level_values("setting") != POOLED)
    rival &= ~stats.index.get_level_values("method").isin(CONTROLS)
    places = printed[rival].groupby(level=CELL[:2]).rank("dense", ascending=False)
    stats = stats.join(paper.set_index(CELL)[["accuracy_pct", "std_pct"]])
    stats["place"] = places.reindex(stats.index).fillna(0).astype(int)
    cells = {key: Cell(*row) for key, *row in stats.itertuples(name=None)}

    pooled = runs.loc[runs["setting"] == POOLED, "method"]
    run = set(runs["method"])
    known = [method for method in paper["method"] if method in run]
    columns = {}
    for dataset, own in runs.groupby("dataset", sort=False):
        settings = dict.fromkeys(own["setting"])
        columns[dataset] = tuple(s for s in settings if s != POOLED) or (POOLED,)
    order = dict.fromkeys([*pooled, *known, *runs["method"]])
    return TableLayout(tuple(sorted(order, key=CONTROLS.__contains__)), columns, cells)


def markdown(layout: TableLayout, caption: str) -> str:
    """The table as Markdown with `caption` below: "ours (paper)", best bold, second underlined.

    A reference's number stands in every column of its data set.
    """
    columns = [(d, s) for d, settings in layout.columns.items() for s in settings]
    heads = ["method", *(f"{_plain(dataset)}, {spoken(setting)}" for dataset, setting in columns)]
    rows = [heads, ["---", *["---:"] * len(columns)]]
    for method in layout.methods:
        cells = (layout.cell(*column, method) for column in columns)
        rows.append(
            [_plain(marked(method)), *(_both(cell, _markdown_number, "–") for cell in cells)]
        )
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", caption, ""])


def latex(name: str, layout: TableLayout, caption: str) -> str:
    """The table as LaTeX, marked as in Markdown, labelled ``tab:<name>``; it needs booktabs.

    A reference's number spans the columns of its data set.
    """
    heads, rules, right = ["Method"], [], 1
    for dataset, settings in layout.columns.items():
        left, right = right + 1, right + len(settings)
        heads.append(rf"\multicolumn{{{len(settings)}}}{{c}}{{{escape(dataset)}}}")
        rules.append(rf"\cmidrule(lr){{{left}-{right}}}")
    settings = [escape(spoken(s)) for group in layout.columns.values() for s in group]
    references = [_latex_row(layout, m) for m in layout.methods if layout.is_reference(m)]
    rivals = [_latex_row(layout, m) for m in layout.methods if not layout.is_reference(m)]
    lines = [
        r"\begin{table}  % needs the package booktabs",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{tab:{name}}}",
        rf"\begin{{tabular}}{{l{'c' * (right - 1)}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        " ".join(rules),
        " & ".join(["", *settings]) + r" \\",
        r"\midrule",
        *references,
        *[r"\midrule"] * bool(references and rivals),
        *rivals,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join([*lines, ""])


def _latex_row(layout: TableLayout, method: str) -> str:
    row = [escape(marked(method))]
    for dataset, settings in layout.columns.items():
        spanned = [POOLED] if layout.is_reference(method) else settings
        cells = [layout.cell(dataset, setting, method) for setting in spanned]
        texts = [_both(cell, _latex_number, "--") for cell in cells]
        if layout.is_reference(method):
            texts = [rf"\multicolumn{{{len(settings)}}}{{c}}{{{texts[0]}}}"]
        row += texts
    return " & ".join(row) + r" \\"


def _both(cell: Cell | None, number: Callable[[float, float, int], str], none: str) -> str:
    """ "ours (paper)". number : of mean, deviation and place."""
    if cell is None:
        return none
    lacking = math.isnan(cell.paper_mean)
    paper = none if lacking else number(cell.paper_mean, cell.paper_std, 0)
    lost = math.isnan(cell.mean)
    return f"{DIVERGED if lost else number(cell.mean, cell.std, cell.place)} ({paper})"


def marked(method: str) -> str:
    """Its name as tables print it."""
    return f"{method} {MARK}" if method in CONTROLS else method


def _plain(name: str) -> str:
    """`name` such that Markdown shows it within a cell."""
    return html.escape(name, quote=False).replace("|", "\\|")


def _markdown_number(mean: float, std: float, place: int) -> str:
    text = f"{mean:.1f}" + ("" if math.isnan(std) else f" ± {std:.1f}")
    # GitHub strips <u> but shows <ins>, also underlined.
    return {1: f"**{text}**", 2: f"<ins>{text}</ins>"}.get(place, text)


def _latex_number(mean: float, std: float, place: int) -> str:
    text = {1: r"\mathbf{%.1f}", 2: r"\underline{%.1f}"}.get(place, "%.1f") % mean
    spread = "" if math.isnan(std) else rf"_{{\pm {std:.1f}}}"
    return f"${text}{spread}$"


def escape(text: str) -> str:
    """`text` such that LaTeX prints it."""
    return text.translate(_ESCAPES)
