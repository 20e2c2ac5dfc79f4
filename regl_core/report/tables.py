"""From results to what a reader sees: a table beside the paper's, curves, verdicts in words."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..errors import ReglError
from ..paper import published
from ..params import Settings
from ..system import put
from . import artefact, claims, formats
from .columns import Place, by_partition
from .curves import curves
from .layout import CELL, POOLED, RUN, arrange
from .provenance import Provenance, trace

if TYPE_CHECKING:  # results are reported without loading what computes them
    from ..runs import PersonalResult, Result

__all__ = [
    "Table",
    "beside",
    "curves",
    "gather",
    "judge",
    "references",
    "rules",
    "table",
    "verdicts",
]


@dataclass(frozen=True)
class Table:
    """A finished table in its three formats; a notebook shows it as Markdown."""

    name: str  # of its files, without ending
    md: str
    tex: str
    runs: pd.DataFrame  # the rows of the CSV, as `gather` gives them

    def write(self, settings: Settings, folder: Path | None = None) -> None:
        """Write `name`.md, .tex and .csv into `folder`, default figures/<profile>, or none."""
        texts = self.texts(trace(self.name, settings))
        files = {f"{self.name}.{end}": text.encode() for end, text in texts.items()}
        put(files, folder or artefact.home(settings))

    def texts(self, made: Provenance) -> dict[str, str]:
        """What is written, by the file's ending, each with its provenance."""
        return {
            "md": f"{self.md}\n<!-- {made.line} -->\n",
            "tex": f"{self.tex}% {made.line}\n",
            "csv": artefact.csv_text(self.runs, made),
        }

    def _repr_markdown_(self) -> str:
        return self.md


def gather(
    results: "Sequence[Result | PersonalResult]", place: Place = by_partition
) -> pd.DataFrame:
    """One row per result, in the order given: what a table and its verdicts are made from.

    `place` says which column and row of the table a result belongs to.

    Returns
    -------
    DataFrame with the columns ``dataset``, ``setting``, ``method`` (text), ``seed`` (int) and
    ``accuracy_pct`` (%, rounded to the two decimals that the CSV holds, so that whoever starts
    from the CSV arrives at the same table and verdicts).

    Raises
    ------
    ReglError
        If there are no results, or two of them would count as the same run of a table.
    """
    if not results:
        raise ReglError("report: no results, expected at least one run in the grid")
    rows = [(r.run.dataset, *place(r), r.run.seed, round(r.accuracy_pct, 2)) for r in results]
    runs = pd.DataFrame(rows, columns=[*RUN, "accuracy_pct"])
    if (twice := runs[runs.duplicated(RUN)]).size:
        dataset, setting, method, seed = twice.iloc[0][RUN]
        raise ReglError(
            f"report: two results for {method} on {dataset}, {setting}, seed {seed}, expected one: "
            "a table cannot tell them apart; make two tables or take one run out of the grid"
        )
    return runs


def beside(number: int, settings: Settings) -> pd.DataFrame:
    """The paper's Table `number` under the names of our data sets.

    Returns
    -------
    DataFrame with the columns of `published`; ``dataset`` is ours, in the place of the one whose
    published numbers its setting ``published`` names.
    """
    paper = published(number)
    parts = [
        paper[paper["dataset"] == own.published].assign(dataset=name)
        for name, own in settings.datasets.items()
    ]
    return pd.concat(parts, ignore_index=True)


def table(
    number: int,
    results: "Sequence[Result | PersonalResult]",
    settings: Settings,
    changes: Mapping[str, Any],
    place: Place = by_partition,
) -> Table:
    """Table `number` of the paper from `results`, ours beside the published numbers.

    `changes` are those made to the profile, for the caption. The same results give the same
    bytes. Raises ReglError as `gather` does.
    """
    runs = gather(results, place)
    layout = arrange(runs, beside(number, settings))
    measures = "; ".join(dict.fromkeys(result.measure for result in results))
    caption = _caption(number, runs, measures, settings, changes)
    return Table(
        name=f"table{number}",
        md=formats.markdown(layout, caption),
        tex=formats.latex(f"table{number}", layout, caption),
        runs=runs,
    )


def rules(results: "Sequence[PersonalResult]") -> pd.DataFrame:
    """Personal accuracy in % by the paper's rule, each client's best round, and by its last one.

    A row per method, columns (setting, rule): means over seeds of means over clients.
    """
    frame = pd.DataFrame(
        {
            "method": result.run.method,
            "setting": formats.spoken(result.run.partition.setting),
            "best": result.personal.best,
            "last": result.personal.last,
        }
        for result in results
    )
    means = frame.groupby(["method", "setting"], sort=False).mean().unstack("setting")
    return means.swaplevel(axis=1).sort_index(axis=1, sort_remaining=False).round(1)


def references(
    datasets: Sequence[str], tables: Mapping[str, int], setting: str, method: str
) -> pd.DataFrame:
    """What the paper's `tables` print for `method`, in %: a row per data set."""
    found = {title: published(number) for title, number in tables.items()}
    own = {
        title: rows[(rows["setting"] == setting) & (rows["method"] == method)]
        for title, rows in found.items()
    }
    columns = {title: rows.set_index("dataset")["accuracy_pct"] for title, rows in own.items()}
    return pd.DataFrame(columns).loc[list(datasets)]


def judge(name: str, runs: pd.DataFrame, settings: Settings) -> list[claims.Verdict]:
    """What the CSV `runs` of the table or figure `name` says about the paper's claims on it.

    The paper's figures come without numbers to set beside.
    """
    table = name.startswith("table")
    paper = beside(int(name[-1]), settings) if table else published(1)[:0]
    return claims.judge(name, runs, paper)


def verdicts(name: str, runs: pd.DataFrame, settings: Settings) -> str:
    """As `judge`, in words, as Markdown."""
    return claims.in_words(judge(name, runs, settings))


def _caption(
    number: int, runs: pd.DataFrame, measure: str, settings: Settings, changes: Mapping[str, Any]
) -> str:
    altered = f" with {json.dumps(changes, sort_keys=True)}" if changes else ""
    counts = sorted(set(runs.groupby(CELL).size()))
    seeds = f"{'–'.join(map(str, counts))} seeds: mean ± standard deviation"
    pairs = [(name, settings.datasets[name].published) for name in dict.fromkeys(runs["dataset"])]
    others = [f"{paper} for {name}" for name, paper in pairs if paper not in (name, None)]
    pooled = dict.fromkeys(runs.loc[runs["setting"] == POOLED, "method"])
    sentences = [
        f"Table {number}, profile {settings.profile}{altered}: {measure}",
        "1 seed" if counts == [1] else seeds,
        "In brackets the numbers of the paper" + (f", {', '.join(others)}" if others else ""),
        "Best of ours bold, second underlined",
        *(f"{method}: trained on all images at once, not ranked" for method in pooled),
    ]
    return ". ".join(sentences) + "."
