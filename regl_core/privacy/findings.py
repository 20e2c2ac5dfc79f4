"""What the rows of `exposure` say: means with intervals, in tables and panels of a picture.

Clients of one seed share the partition, and in a run the global model, so they are no independent
draws. One observation is therefore a seed: the mean over its clients. Intervals are the two-sided
95 % t-intervals of `comparison` over seeds, from three on. Every verdict is one on paired
differences, taken client by client before; while their interval contains 0, nothing is decided.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..report import FT, MIN_SEEDS, TF, Comparison

SEED = ["dataset", "setting", "seed"]
CLIENT = [*SEED, "client"]
ROW = ["what", "method", "way"]
UNTUNED = "untuned"  # the way of TF's images, the control of tuned ones
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


def by_client(rows: pd.DataFrame) -> dict[tuple[str, str, str, str], pd.Series]:
    """The values of `rows`, by ROW and measure in order of appearance, indexed by CLIENT."""
    groups = rows.set_index(CLIENT).groupby([*ROW, "measure"], sort=False)
    return dict(iter(groups["value"]))


def table(rows: pd.DataFrame, measures: Mapping[str, str]) -> pd.DataFrame:
    """Mean and interval of some measures, a row per thing looked at, method and way.

    measures : their names in `rows`, each with the heading of its column.
    """
    numbers = by_client(rows[rows["measure"].isin(measures)])
    found = pd.Series({its: Estimate.of(own) for its, own in numbers.items()})
    found = found.rename_axis([*ROW, "measure"]).unstack(sort=False)
    columns = {
        heading: [it.told(_form(measure)) for it in found[measure]]
        for measure, heading in measures.items()
    }
    first = found[next(iter(measures))]
    columns |= {"seeds": [it.seeds for it in first], "clients": [it.clients for it in first]}
    return pd.DataFrame(columns, index=found.index)


def neighbour_table(rows: pd.DataFrame, space: str) -> pd.DataFrame:
    """`table` of generated images and their neighbours, in "features" or "pixels"."""
    headings = {
        "made": "drawn, median distance",
        "held_out": "unseen, median distance",
        "nearer_5_pct": "nearer than 5 %, %",
        "nearer_1_pct": "nearer than 1 %, %",
        "own_first_pct": "an own image first, %",
    }
    return table(rows, {f"{space}_{measure}": name for measure, name in headings.items()})


def _form(measure: str) -> str:
    if measure == "auc":
        return ".3f"
    return ".1f" if measure.endswith("_pct") or measure.startswith("pixels") else ".2f"


def panel(rows: pd.DataFrame, what: Sequence[str], series: Mapping[str, str]) -> pd.DataFrame:
    """Rows for a panel of `drawing.leaks`.

    what : things looked at. series : by measure, what the picture calls it; a text with {what} in
        it makes one series of each thing.
    """
    found = []
    kept = rows[rows["what"].isin(what) & rows["measure"].isin(series)]
    for (kind, method, way, measure), values in by_client(kept).items():
        its = Estimate.of(values)
        same = {
            "row": f"sent by {method}" if kind == "update" else way,
            "series": series[measure].format(what=CALLED.get(kind, kind)),
            **{"mean": its.mean, "low": its.low, "high": its.high},
        }
        found.append(pd.DataFrame({"value": values.to_numpy(), **same}))
    return pd.concat(found, ignore_index=True)


# What is asked: of what, whose, and by which measure.
QUESTIONS = (
    *(("images", FT, f"{space}_own_first_pct") for space in ("features", "pixels")),
    ("adapter", FT, "auc"),
    *(("update", method, "auc") for method in ("FedAvg", TF, FT)),
)
CHANCE = 0.5  # an AUC where nothing is given away
GIVEN = "something is given away"


def given_away(rows: pd.DataFrame, usual: str) -> pd.DataFrame:
    """Of each of QUESTIONS how much more than nothing is given away, as `_differences`.

    An AUC is held against CHANCE, a share of the images against that of those which the untuned
    model draws for the same client. usual : the way of the settings.
    """
    numbers, found = by_client(rows), {}
    for what, method, measure in QUESTIONS:
        nothing = numbers[what, TF, UNTUNED, measure] if what == "images" else CHANCE
        found[what, method, usual, measure] = numbers[what, method, usual, measure] - nothing
    return _differences(found, GIVEN, "nothing is seen")


def trials(rows: pd.DataFrame, usual: str) -> pd.DataFrame:
    """What turns it up or down: every other way less the usual one, as `_differences`.

    Only of what is sure to be given away.
    """
    numbers, found = by_client(rows), given_away(rows, usual)
    sure = {(what, who, by) for what, who, _, by in found.index[found["verdict"] == GIVEN]}
    changes = {
        (what, method, way, measure): values - numbers[what, method, usual, measure]
        for (what, method, way, measure), values in numbers.items()
        if (what, method, measure) in sure and way != usual
    }
    return _differences(changes, "turns it up", "turns it down")


def weights_or_adapter(rows: pd.DataFrame, usual: str) -> pd.DataFrame:
    """AUC of the weights sent less that of the adapter of the same client, as `_differences`."""
    numbers = by_client(rows)
    adapter = numbers["adapter", FT, usual, "auc"]
    both = {
        key: values - adapter
        for key, values in numbers.items()
        if key[0] == "update" and key[-1] == "auc"
    }
    return _differences(both, "the weights give away more", "the weights give away less")


def _differences(
    paired: Mapping[tuple[str, str, str, str], pd.Series], up: str, down: str
) -> pd.DataFrame:
    """A row for each of the differences, by ROW and measure, of clients that have both numbers.

    Columns: the mean and its interval; how many clients have more and less; what it was measured
    on; and the verdict, `up` or `down` where the interval is above or below 0.
    """
    found = []
    for (*row, measure), values in paired.items():
        own = values.dropna()
        its = Estimate.of(own)
        verdict = "not decided" + ": too few seeds" * math.isnan(its.low)
        if its.low > 0 or its.high < 0:
            verdict = up if its.low > 0 else down
        more, less = int((own > 0).sum()), int((own < 0).sum())
        told = its.told(f"+{_form(measure)}"), more, less, its.seeds, its.clients, verdict
        found.append((*row, measure, *told))
    columns = ["difference", "more", "less", "seeds", "clients", "verdict"]
    return pd.DataFrame(found, columns=[*ROW, "measure", *columns]).set_index([*ROW, "measure"])
