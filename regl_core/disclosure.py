"""What the rows of `exposure` say: means with intervals, a picture's panels, a verdict in words.

A client is one observation: it tunes on images of its own. Intervals are the two-sided 95 %
t-intervals of `comparison`, from three clients on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from .comparison import MIN_SEEDS, Comparison
from .scores import FT, TF

CLIENT = ["dataset", "setting", "seed", "client"]
ROW = ["what", "method", "way"]
UNTUNED = "untuned"  # the way of TF's images


@dataclass(frozen=True)
class Estimate:
    """A mean over `clients`, and its interval; NaN where there are too few for one."""

    mean: float
    low: float
    high: float
    clients: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        low = high = math.nan
        if len(values) >= MIN_SEEDS:
            low, high = Comparison("", tuple(values)).interval
        return cls(sum(values) / len(values), low, high, len(values))

    def told(self, form: str) -> str:
        """The mean, and in brackets the interval."""
        if math.isnan(self.low):
            return f"{self.mean:{form}}"
        return f"{self.mean:{form}} [{self.low:{form}}, {self.high:{form}}]"


@dataclass(frozen=True)
class Question:
    """Whether something is given away: a measure, and its value where nothing is.

    form : how numbers are written. unit : after them.
    """

    what: str
    method: str
    measure: str
    nothing: float
    text: str
    form: str = ".0f"
    unit: str = " %"


AUC = {"measure": "auc", "nothing": 0.5, "form": ".2f", "unit": ""}
QUESTIONS = (
    *(
        Question(
            "images",
            FT,
            f"{space}_own_first_pct",
            50.0,
            f"Drawn images whose nearest neighbour, by {words}, is one the model was tuned on "
            "rather than one it never saw",
        )
        for space, words in (("features", "image features"), ("pixels", "pixels"))
    ),
    Question("adapter", FT, text="The adapter: AUC of telling who it was tuned on", **AUC),
    *(
        Question("update", method, text=f"Weights sent, {method}: AUC of telling members", **AUC)
        for method in ("FedAvg", TF, FT)
    ),
)


def values(rows: pd.DataFrame, question: Question, way: str) -> pd.Series:
    """The measure of a question in one way, a number per client, indexed by CLIENT."""
    its = {name: getattr(question, name) for name in ("what", "method", "measure")}
    chosen = (rows[list(its)] == pd.Series(its)).all(axis=1) & (rows["way"] == way)
    return rows[chosen].set_index(CLIENT)["value"]


def table(rows: pd.DataFrame, measures: dict[str, str]) -> pd.DataFrame:
    """Mean and interval of some measures, a row per thing looked at, method and way.

    measures : their names in `rows`, each with the heading of its column.
    """
    own = rows[rows["measure"].isin(measures)]
    cells = {
        its: Estimate.of(found.tolist()).told(_form(its[-1]))
        for its, found in own.groupby([*ROW, "measure"], sort=False)["value"]
    }
    counts = own.drop_duplicates([*ROW, *CLIENT]).groupby(ROW, sort=False).size()
    columns = {
        heading: [cells[*its, measure] for its in counts.index]
        for measure, heading in measures.items()
    }
    return pd.DataFrame({**columns, "clients": counts}, index=counts.index)


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
            its = Estimate.of(group["value"].tolist())
            found.append(
                pd.DataFrame(
                    {
                        "row": f"sent by {method}" if kind == "update" else way,
                        "series": series[measure].format(what=kind),
                        "value": group["value"].to_numpy(),
                        "mean": its.mean,
                        "low": its.low,
                        "high": its.high,
                    }
                )
            )
    return pd.concat(found, ignore_index=True)


def conclusion(rows: pd.DataFrame, usual: str) -> str:
    """The verdict, as Markdown: what is given away, and what to turn down if it is.

    usual : the way of the settings, with which the others are compared, client by client.
    """
    lines, helps = [], {}
    for question in QUESTIONS:
        found = Estimate.of(values(rows, question, usual).tolist())
        lines.append(f"- {_told(rows, question, found)}")
        if found.low > question.nothing:
            for way, change in changes(rows, question, usual).items():
                lines.append(f"    - {way}: {_told_change(change, question)}")
                if change.high < 0:
                    helps.setdefault(question.what, {})[way] = None
    given = [f"{what}: {', '.join(ways)}" for what, ways in helps.items()]
    advice = "; ".join(given) or "none of the trials is sure to help, or there is no need"
    return "\n".join([*lines, "", f"**What to turn down.** {advice}."])


def changes(rows: pd.DataFrame, question: Question, usual: str) -> dict[str, Estimate]:
    """By every other way that was tried: how it changes the measure, over the same clients."""
    own = rows[(rows["what"] == question.what) & (rows["method"] == question.method)]
    before, found = values(rows, question, usual), {}
    for way in dict.fromkeys(own["way"]):
        both = (values(rows, question, way) - before).dropna()
        if way != usual and len(both):
            found[way] = Estimate.of(both.tolist())
    return found


def _told(rows: pd.DataFrame, question: Question, found: Estimate) -> str:
    form, unit = question.form, question.unit
    facts = f"{question.nothing:{form}}{unit} if nothing were given away"
    if question.what == "images":
        floor = values(rows, replace(question, method=TF), UNTUNED).mean()
        facts += f", {floor:{form}}{unit} for the untuned model"
    clients = f"{found.clients} clients"
    if math.isnan(found.low):
        reach, outcome = f"over {clients}", "Not decided: too few clients."
    else:
        reach = f"95 % interval {found.low:{form}} to {found.high:{form}} over {clients}"
        outcome = f"Not decided: up to {found.high:{form}}{unit} is possible."
        if found.low > question.nothing:
            outcome = "Something is given away."
        elif found.high < question.nothing:
            outcome = "Nothing is seen to be given away in this way."
    return f"{question.text}: {found.mean:{form}}{unit}, {reach}; {facts}. **{outcome}**"


def _told_change(change: Estimate, question: Question) -> str:
    form = f"+{question.form}"
    outcome = "turns it down" if change.high < 0 else "turns it up"
    if not (change.high < 0 or change.low > 0):  # also where there is no interval
        outcome = "not decided"
    reach = f"95 % interval {change.low:{form}} to {change.high:{form}}"
    return f"{change.mean:{form}}, {reach} over {change.clients} clients: {outcome}"
