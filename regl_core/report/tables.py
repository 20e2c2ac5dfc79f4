"""A table as a reader sees it: ours beside the paper's, with a caption, in three formats."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..paper import published
from ..params import ROOT, Settings
from ..runs import handed
from . import formats
from .comparison import CONTROLS
from .provenance import Provenance, csv_text, trace, write
from .rows import CELL, POOLED, by_partition, gather

if TYPE_CHECKING:  # results are reported without loading what computes them
    import pandas as pd
    from IPython.display import Markdown

    from ..runs import PersonalResult, Result
    from .rows import Place


UNRANKED = (1,)  # its rows are two tasks, not two rivals


@dataclass(frozen=True)
class Table:
    """A finished table in its three formats; a notebook shows it as Markdown."""

    name: str  # of its files, without ending
    md: str
    tex: str
    runs: pd.DataFrame  # the rows of the CSV, as `gather` gives them

    def write(self, settings: Settings, folder: Path | None = None) -> None:
        """Write `name`.md, .tex and .csv into `folder`, default figures/<profile>, or none."""
        write(self.name, self.texts(trace(self.name, settings)), settings, folder)

    def texts(self, made: Provenance) -> dict[str, str]:
        """What is written, by the file's ending, each with its provenance."""
        return {
            "md": f"{self.md}\n<!-- {made.line} -->\n",
            "tex": f"{self.tex}% {made.line}\n",
            "csv": csv_text(self.runs, made, none="nan"),  # of a run that has diverged,
        }

    def _repr_markdown_(self) -> str:
        return self.md


def shipped(name: str, profile: str, changes: Mapping[str, Any]) -> Markdown | None:
    """The table in figures/<profile> as it lies there, to be seen before anything is computed.

    None where there is none, where `changes` are asked for, and for `make`, which makes it anew.
    """
    file = ROOT / "figures" / profile / f"{name}.md"
    if handed() or changes or not file.exists():
        return None
    from IPython.display import Markdown

    return Markdown(file.read_text(encoding="utf-8"))


def table(
    number: int,
    results: Sequence[Result | PersonalResult],
    settings: Settings,
    changes: Mapping[str, Any],
    place: Place = by_partition,
) -> Table:
    """Table `number` of the paper from `results`, ours beside the published numbers.

    `changes` are those made to the profile, for the caption. The same results give the same
    bytes. Raises ReglError as `gather` does.
    """
    runs = gather(results, place)
    layout = laid_out(number, runs, settings)
    measures = "; ".join(dict.fromkeys(result.measure for result in results))
    caption = _caption(number, runs, measures, settings, changes)
    name = f"table{number}"
    tex = formats.latex(name, layout, caption)
    return Table(name, formats.markdown(layout, caption), tex, runs)


def laid_out(number: int, runs: pd.DataFrame, settings: Settings) -> formats.TableLayout:
    """Table `number` from its rows, beside the published numbers."""
    return formats.arrange(runs, beside(number, settings), ranked=number not in UNRANKED)


def beside(number: int, settings: Settings) -> pd.DataFrame:
    """The paper's Table `number` under the names of our data sets.

    Returns
    -------
    DataFrame with the columns of `published`; ``dataset`` is ours, in the place of the one whose
    published numbers its setting ``published`` names.
    """
    import pandas as pd

    paper = published(number)
    parts = [
        paper[paper["dataset"] == own.published].assign(dataset=name)
        for name, own in settings.datasets.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _caption(
    number: int, runs: pd.DataFrame, measure: str, settings: Settings, changes: Mapping[str, Any]
) -> str:
    altered = f" with {json.dumps(changes, sort_keys=True)}" if changes else ""
    counts = sorted(set(runs.groupby(CELL).size()))
    seeds = f"{'–'.join(map(str, counts))} seeds: mean ± standard deviation"
    pairs = [(name, settings.datasets[name].published) for name in dict.fromkeys(runs["dataset"])]
    others = [f"{paper} for {name}" for name, paper in pairs if paper not in (name, None)]
    pooled = dict.fromkeys(runs.loc[runs["setting"] == POOLED, "method"])
    controlled = runs["method"].isin(CONTROLS).any()
    sentences = [
        f"Table {number}, profile {settings.profile}{altered}: {measure}",
        "1 seed" if counts == [1] else seeds,
        "In brackets the numbers of the paper" + (f", {', '.join(others)}" if others else ""),
        *(["Best of ours bold, second underlined"] if number not in UNRANKED else []),
        *(f"{method}: trained on all images at once, not ranked" for method in pooled),
        *([f"{formats.MARK} a control of ours, not ranked"] if controlled else []),
    ]
    return ". ".join(sentences) + "."
