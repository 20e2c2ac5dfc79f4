"""What the rows of `exposure` say: means with intervals, tables, panels of a picture, and words.

Clients of one seed share the partition, and in a run the global model, so they are no independent
draws. One observation is therefore a seed: the mean over its clients. Intervals are the two-sided
95 % t-intervals of `comparison` over seeds, from three on. Every verdict is one on paired
differences, taken client by client before; while their interval contains 0, nothing is decided.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..report import FT, MIN_SEEDS, TF, Comparison, signed

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

    @property
    def counts(self) -> str:
        """What it was measured on."""
        return f"{self.clients} clients of {self.seeds} seed{'s' * (self.seeds != 1)}"


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


@dataclass(frozen=True)
class Scale:
    """How a measure is told.

    found : the verdict if something is given away. form : how numbers are written. unit, points :
        after a value and after a difference.
    """

    found: str
    form: str
    unit: str = ""
    points: str = ""


# An AUC is held against CHANCE, a share of the images against that of the images which the untuned
# model draws for the same client.
AUC = Scale("Something is given away.", ".3f")
SHARE = Scale("More often than without tuning.", ".1f", " %", " points")
CHANCE = 0.5
# Whether something is given away, in words, by what is looked at, method and measure.
QUESTIONS = {
    **{
        ("images", FT, f"{space}_own_first_pct"): f"Tuned images whose nearest neighbour, by "
        f"{words}, is one the model was tuned on rather than one it never saw"
        for space, words in (("features", "image features"), ("pixels", "pixels"))
    },
    ("adapter", FT, "auc"): "The adapter: AUC of telling who it was tuned on",
    **{
        ("update", method, "auc"): f"Weights sent, {method}: AUC of telling members"
        for method in ("FedAvg", TF, FT)
    },
}


def conclusion(rows: pd.DataFrame, usual: str) -> str:
    """The verdict, as Markdown: what is given away, by what more, and what turns it down.

    usual : the way of the settings, with which the others are compared, client by client.
    """
    numbers = by_client(rows)
    lines, compared, helps = [], [], {}
    advice = "No trial is judged, for nothing is sure to be given away"
    adapter = numbers["adapter", FT, usual, "auc"]
    for (what, method, measure), text in QUESTIONS.items():
        scale = AUC if measure == "auc" else SHARE
        values = numbers[what, method, usual, measure]
        nothing = numbers[what, TF, UNTUNED, measure] if scale is SHARE else CHANCE
        more = (values - nothing).dropna()
        lines.append(f"- {text}: {_answer(scale, values, more)}")
        ways = [its[2] for its in numbers if (its[0], its[1], its[3]) == (what, method, measure)]
        for way in ways if Estimate.of(more).low > 0 else ():
            if way != usual:
                change = (numbers[what, method, way, measure] - values).dropna()
                told = _difference(change, scale, "turns it up", "turns it down")
                lines.append(f"    - {way} instead: {told}")
                advice = "Not decided: none of the trials is sure to help"
                if Estimate.of(change).high < 0:
                    helps.setdefault(what, {})[way] = None
        if what == "update":
            words = "the weights give away more", "the weights give away less"
            both = (values - adapter).dropna()
            compared.append(f"- {method}: {_difference(both, scale, *words)}")
    if helps:
        advice = "; ".join(f"For the {what}: {', '.join(ways)}" for what, ways in helps.items())
    asked = "**Weights sent or adapter?** AUC of the weights less that of the adapter:"
    end = f"**What to turn down.** {advice}."
    return "\n".join([*lines, "", asked, "", *compared, "", end])


def _answer(scale: Scale, values: pd.Series, more: pd.Series) -> str:
    """The numbers that answer a question, `more` than nothing in the end, and the answer."""
    form, unit = scale.form, scale.unit
    level, found = Estimate.of(values.loc[more.index]), Estimate.of(more)
    outcome = f"Not decided: up to {found.high:{form}}{scale.points} more is possible."
    if math.isnan(found.low):
        outcome = "Not decided: too few seeds."
    elif found.low > 0:
        outcome = scale.found
    elif found.high < 0:
        outcome = "Nothing is seen to be given away in this way."
    if scale is SHARE:
        control = f"{level.mean - found.mean:{form}}{unit} of the untuned model's"
        where = f"{control}; difference {_interval(found, scale)}"
    else:
        reach = f"95 % interval {level.low:{form}} to {level.high:{form}}, "
        reach = "" if math.isnan(level.low) else reach
        where = f"{reach}{level.counts}; {CHANCE:g} if nothing were given away"
    return f"{level.mean:{form}}{unit}, {where}. **{outcome}**"


def _difference(its: pd.Series, scale: Scale, up: str, down: str) -> str:
    """A paired difference, and what its interval decides."""
    found, outcome = Estimate.of(its), "not decided"
    if math.isnan(found.low):
        outcome = "not decided, too few seeds"
    elif found.low > 0 or found.high < 0:
        outcome = up if found.low > 0 else down
    same = f"less for {(its < 0).sum()} of them, more for {(its > 0).sum()}"
    return f"{_interval(found, scale)}, {same}: {outcome}"


def _interval(found: Estimate, scale: Scale) -> str:
    """A difference with its interval and what it was measured on."""
    mean, low, high = (signed(it, scale.form) for it in (found.mean, found.low, found.high))
    parts = [f"{mean}{scale.points}", found.counts]
    if not math.isnan(found.low):
        parts.insert(1, f"95 % interval {low} to {high}")
    return ", ".join(parts)
