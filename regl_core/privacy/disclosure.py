"""What the rows of `exposure` say in numbers: means with intervals, tables, a picture's panels.

Clients of one seed share the partition, and in a run the global model, so they are no independent
draws. One observation is therefore a seed: the mean over its clients. Intervals are the two-sided
95 % t-intervals of `comparison` over seeds, from three on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ..report.comparison import MIN_SEEDS, Comparison

SEED = ["dataset", "setting", "seed"]
CLIENT = [*SEED, "client"]
ROW = ["what", "method", "way"]
UNTUNED = "untuned"  # the way of TF's images, the control of tuned ones
COUNTS = ("seeds", "clients")
CALLED = {"update": "weights sent"}  # what pictures call what is looked at


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, and its interval; NaN where there are too few for one.

    clients : how many the means of the seeds are made of.
    """

    mean: float
    low: float
    high: float
    seeds: int
    clients: int

    @classmethod
    def of(cls, values: pd.Series) -> "Estimate":
        """values : a number per client, indexed by CLIENT."""
        means = tuple(values.groupby(level=SEED).mean())
        low = high = math.nan
        if len(means) >= MIN_SEEDS:
            low, high = Comparison("", means).interval
        return cls(sum(means) / len(means), low, high, len(means), len(values))

    def told(self, form: str) -> str:
        """The mean, and in brackets the interval."""
        if math.isnan(self.low):
            return f"{self.mean:{form}}"
        return f"{self.mean:{form}} [{self.low:{form}}, {self.high:{form}}]"


def table(rows: pd.DataFrame, measures: dict[str, str]) -> pd.DataFrame:
    """Mean and interval of some measures, a row per thing looked at, method and way.

    measures : their names in `rows`, each with the heading of its column.
    """
    own = rows[rows["measure"].isin(measures)]
    cells = {
        its: Estimate.of(found.set_index(CLIENT)["value"])
        for its, found in own.groupby([*ROW, "measure"], sort=False)
    }
    index = pd.MultiIndex.from_tuples(dict.fromkeys(its[:-1] for its in cells), names=ROW)
    columns = {
        heading: [cells[*its, measure].told(_form(measure)) for its in index]
        for measure, heading in measures.items()
    }
    (first, *_) = measures
    counts = {name: [getattr(cells[*its, first], name) for its in index] for name in COUNTS}
    return pd.DataFrame({**columns, **counts}, index=index)


def neighbours(rows: pd.DataFrame, space: str) -> pd.DataFrame:
    """`table` of drawn images and their neighbours, in "features" or "pixels"."""
    headings = {
        "made": "drawn, median distance",
        "held_out": "unseen, median distance",
        "nearer_5_pct": "nearer than 5 %, %",
        "nearer_1_pct": "nearer than 1 %, %",
        "own_first_pct": "an own image first, %",
    }
    return table(rows, {f"{space}_{measure}": name for measure, name in headings.items()})


def _form(measure: str) -> str:
    return ".1f" if measure.endswith("_pct") or measure.startswith("pixels") else ".2f"


def panel(rows: pd.DataFrame, what: Sequence[str], series: dict[str, str]) -> pd.DataFrame:
    """Rows for a panel of `drawing.leaks`.

    what : things looked at. series : by measure, what the picture calls it; a text with {what} in
        it makes one series of each thing.
    """
    found = []
    own = rows[rows["what"].isin(what)]
    for (kind, method, way, measure), group in own.groupby([*ROW, "measure"], sort=False):
        if measure in series:
            its = Estimate.of(group.set_index(CLIENT)["value"])
            found.append(
                pd.DataFrame(
                    {
                        "row": f"sent by {method}" if kind == "update" else way,
                        "series": series[measure].format(what=CALLED.get(kind, kind)),
                        "value": group["value"].to_numpy(),
                        "mean": its.mean,
                        "low": its.low,
                        "high": its.high,
                    }
                )
            )
    return pd.concat(found, ignore_index=True)
