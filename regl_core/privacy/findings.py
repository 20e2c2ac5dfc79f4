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

from ..report import FT, MIN_SEEDS, TF, Comparison, Quantity

SEED = ["dataset", "setting", "seed"]
CLIENT = [*SEED, "client"]
ROW = ["what", "method", "way"]
UNTUNED = "untuned"  # the way of TF's images, the control of tuned ones
CALLED = {"update": "weights sent"}  # what pictures call what is looked at

Numbers = Mapping[tuple[str, str, str, str], pd.Series]  # by ROW and measure, indexed by CLIENT


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


def by_client(rows: pd.DataFrame) -> Numbers:
    """The values of `rows`, one per client, in order of appearance."""
    groups = rows.set_index(CLIENT).groupby([*ROW, "measure"], sort=False)
    return dict(iter(groups["value"]))


def table(rows: pd.DataFrame, measures: Mapping[str, str]) -> pd.DataFrame:
    """Mean and interval of some measures, a row per thing looked at, method and way.

    measures : their names in `rows`, each with the heading of its column.
    """
    numbers = by_client(rows)
    found = {its: Estimate.of(own) for its, own in numbers.items() if its[-1] in measures}
    index = pd.MultiIndex.from_tuples(dict.fromkeys(its[:-1] for its in found), names=ROW)
    columns: dict[str, list[str] | list[int]] = {
        heading: [found[*its, measure].told(_form(measure)) for its in index]
        for measure, heading in measures.items()
    }
    first = [found[*its, next(iter(measures))] for its in index]
    columns |= {"seeds": [it.seeds for it in first], "clients": [it.clients for it in first]}
    return pd.DataFrame(columns, index=index)


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
    for (kind, method, way, measure), values in by_client(rows).items():
        if kind in what and measure in series:
            its = Estimate.of(values)
            same = {
                "row": f"sent by {method}" if kind == "update" else way,
                "series": series[measure].format(what=CALLED.get(kind, kind)),
                **{"mean": its.mean, "low": its.low, "high": its.high},
            }
            found.append(pd.DataFrame({"value": values.to_numpy(), **same}))
    return pd.concat(found, ignore_index=True)


@dataclass(frozen=True)
class Question:
    """Whether something is given away: a measure of every client, and what it is held against.

    nothing : its value where nothing is given away; NaN: it is measured, on the images that the
        untuned model draws for the same client.
    found : the verdict if it is more. form : how numbers are written. unit, points : after a value
        and after a difference.
    """

    what: str
    method: str
    measure: str
    text: str
    nothing: float
    found: str = "Something is given away."
    form: str = ".3f"
    unit: str = ""
    points: str = ""

    def measured(self, numbers: Numbers, way: str) -> pd.Series:
        """A number per client, indexed by CLIENT."""
        return numbers[self.what, self.method, way, self.measure]

    def excess(self, numbers: Numbers, way: str) -> pd.Series:
        """By how much more than nothing is given away, a number per client."""
        nothing: float | pd.Series = self.nothing
        if math.isnan(nothing):
            nothing = numbers[self.what, TF, UNTUNED, self.measure]
        return (self.measured(numbers, way) - nothing).dropna()

    def changes(self, numbers: Numbers, usual: str) -> dict[str, pd.Series]:
        """By every other way that was tried: how it changes the measure, over the same clients."""
        asked, before = (self.what, self.method, self.measure), self.measured(numbers, usual)
        return {
            way: (values - before).dropna()
            for (what, method, way, measure), values in numbers.items()
            if (what, method, measure) == asked and way != usual
        }


CHANCE = {"measure": "auc", "nothing": 0.5}
IMAGES = tuple(
    Question(
        "images",
        FT,
        f"{space}_own_first_pct",
        f"Tuned images whose nearest neighbour, by {words}, is one the model was tuned on rather "
        "than one it never saw",
        math.nan,
        found="More often than without tuning.",
        form=".1f",
        unit=" %",
        points=" points",
    )
    for space, words in (("features", "image features"), ("pixels", "pixels"))
)
ADAPTER = Question("adapter", FT, text="The adapter: AUC of telling who it was tuned on", **CHANCE)
SENT = tuple(
    Question("update", method, text=f"Weights sent, {method}: AUC of telling members", **CHANCE)
    for method in ("FedAvg", TF, FT)
)
QUESTIONS = (*IMAGES, ADAPTER, *SENT)


def conclusion(rows: pd.DataFrame, usual: str) -> str:
    """The verdict, as Markdown: what is given away, by what more, and what turns it down.

    usual : the way of the settings, with which the others are compared, client by client.
    """
    numbers = by_client(rows)
    lines, helps = [], {}
    advice = "No trial is judged, for nothing is sure to be given away"
    for question in QUESTIONS:
        more = question.excess(numbers, usual)
        lines.append(f"- {_answer(question, question.measured(numbers, usual), more)}")
        if Estimate.of(more).low > 0:
            for way, change in question.changes(numbers, usual).items():
                told = _difference(change, question, "turns it up", "turns it down")
                lines.append(f"    - {way} instead: {told}")
                advice = "Not decided: none of the trials is sure to help"
                if Estimate.of(change).high < 0:
                    helps.setdefault(question.what, {})[way] = None
    lines += ["", "**Weights sent or adapter?** AUC of the weights less that of the adapter:", ""]
    for question in SENT:
        both = question.measured(numbers, usual) - ADAPTER.measured(numbers, usual)
        words = "the weights give away more", "the weights give away less"
        lines.append(f"- {question.method}: {_difference(both.dropna(), question, *words)}")
    if helps:
        advice = "; ".join(f"For the {what}: {', '.join(ways)}" for what, ways in helps.items())
    return "\n".join([*lines, "", f"**What to turn down.** {advice}."])


def _answer(question: Question, values: pd.Series, more: pd.Series) -> str:
    """A question, its numbers and its answer."""
    form, unit = question.form, question.unit
    level, found = Estimate.of(values.loc[more.index]), Estimate.of(more)
    outcome = f"Not decided: up to {found.high:{form}}{question.points} more is possible."
    if math.isnan(found.low):
        outcome = "Not decided: too few seeds."
    elif found.low > 0:
        outcome = question.found
    elif found.high < 0:
        outcome = "Nothing is seen to be given away in this way."
    if math.isnan(question.nothing):
        control = f"{level.mean - found.mean:{form}}{unit} of the untuned model's"
        where = f"{control}; difference {_interval(found, question)}"
    else:
        reach = f"95 % interval {level.low:{form}} to {level.high:{form}}, "
        reach = "" if math.isnan(level.low) else reach
        where = f"{reach}{level.counts}; {question.nothing:g} if nothing were given away"
    return f"{question.text}: {level.mean:{form}}{unit}, {where}. **{outcome}**"


def _difference(its: pd.Series, question: Question, up: str, down: str) -> str:
    """A paired difference, and what its interval decides."""
    found, outcome = Estimate.of(its), "not decided"
    if math.isnan(found.low):
        outcome = "not decided, too few seeds"
    elif found.low > 0 or found.high < 0:
        outcome = up if found.low > 0 else down
    same = f"less for {(its < 0).sum()} of them, more for {(its > 0).sum()}"
    return f"{_interval(found, question)}, {same}: {outcome}"


def _interval(found: Estimate, question: Question) -> str:
    """A difference with its interval and what it was measured on."""
    told = Quantity(form=f"+{question.form}").told
    parts = [f"{told(found.mean)}{question.points}", found.counts]
    if not math.isnan(found.low):
        parts.insert(1, f"95 % interval {told(found.low)} to {told(found.high)}")
    return ", ".join(parts)
