"""What the rows of `exposure` say in words: what is given away, and what to turn down.

Every verdict is one on paired differences, client by client, of which a seed's mean is one
observation (`disclosure.Estimate`); while their interval contains 0, nothing is decided.
"""

import math
from dataclasses import dataclass

import pandas as pd

from ..report.comparison import Quantity
from ..report.scores import FT, TF
from .disclosure import CLIENT, UNTUNED, Estimate


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


def values(rows: pd.DataFrame, what: str, method: str, measure: str, way: str) -> pd.Series:
    """One measure of one thing, a number per client, indexed by CLIENT."""
    its = pd.Series({"what": what, "method": method, "measure": measure, "way": way})
    return rows[(rows[list(its.index)] == its).all(axis=1)].set_index(CLIENT)["value"]


def measured(rows: pd.DataFrame, question: Question, way: str) -> pd.Series:
    """The measure of a question in one way, a number per client, indexed by CLIENT."""
    return values(rows, question.what, question.method, question.measure, way)


def excess(rows: pd.DataFrame, question: Question, way: str) -> pd.Series:
    """By how much more than nothing is given away, a number per client, indexed by CLIENT."""
    if math.isnan(question.nothing):
        control = values(rows, question.what, TF, question.measure, UNTUNED)
        return (measured(rows, question, way) - control).dropna()
    return measured(rows, question, way) - question.nothing


def changes(rows: pd.DataFrame, question: Question, usual: str) -> dict[str, pd.Series]:
    """By every other way that was tried: how it changes the measure, over the same clients."""
    own = rows[(rows["what"] == question.what) & (rows["method"] == question.method)]
    before, found = measured(rows, question, usual), {}
    for way in dict.fromkeys(own["way"]):
        both = (measured(rows, question, way) - before).dropna()
        if way != usual and len(both):
            found[way] = both
    return found


def conclusion(rows: pd.DataFrame, usual: str) -> str:
    """The verdict, as Markdown: what is given away, by what more, and what turns it down.

    usual : the way of the settings, with which the others are compared, client by client.
    """
    lines, helps, tried = [], {}, False
    for question in QUESTIONS:
        more = excess(rows, question, usual)
        lines.append(f"- {_told(rows, question, usual, more)}")
        if Estimate.of(more).low > 0:
            for way, change in changes(rows, question, usual).items():
                told = _difference(change, question, "turns it up", "turns it down")
                lines.append(f"    - {way} instead: {told}")
                tried = True
                if Estimate.of(change).high < 0:
                    helps.setdefault(question.what, {})[way] = None
    lines += ["", "**Weights sent or adapter?** AUC of the weights less that of the adapter:", ""]
    adapter = measured(rows, ADAPTER, usual)
    for question in SENT:
        both = (measured(rows, question, usual) - adapter).dropna()
        words = "the weights give away more", "the weights give away less"
        lines.append(f"- {question.method}: {_difference(both, question, *words)}")
    advice = "Not decided: none of the trials is sure to help"
    if not tried:
        advice = "No trial is judged, for nothing is sure to be given away"
    if helps:
        advice = "; ".join(f"For the {what}: {', '.join(ways)}" for what, ways in helps.items())
    return "\n".join([*lines, "", f"**What to turn down.** {advice}."])


def _told(rows: pd.DataFrame, question: Question, way: str, more: pd.Series) -> str:
    """A question, its numbers and its answer."""
    form, unit, found = question.form, question.unit, Estimate.of(more)
    level = Estimate.of(measured(rows, question, way).loc[more.index])
    outcome = f"Not decided: up to {found.high:{form}}{question.points} more is possible."
    if math.isnan(found.low):
        outcome = "Not decided: too few seeds."
    elif found.low > 0:
        outcome = question.found
    elif found.high < 0:
        outcome = "Nothing is seen to be given away in this way."
    if math.isnan(question.nothing):
        control = f"{level.mean - found.mean:{form}}{unit} of the untuned model's"
        where = f"{control}; difference {_reach(found, question)}"
    else:
        reach = f"95 % interval {level.low:{form}} to {level.high:{form}}, "
        reach = "" if math.isnan(level.low) else reach
        where = f"{reach}{_counts(level)}; {question.nothing:g} if nothing were given away"
    return f"{question.text}: {level.mean:{form}}{unit}, {where}. **{outcome}**"


def _difference(its: pd.Series, question: Question, up: str, down: str) -> str:
    """A paired difference, and what its interval decides."""
    found, outcome = Estimate.of(its), "not decided"
    if math.isnan(found.low):
        outcome = "not decided, too few seeds"
    elif found.low > 0 or found.high < 0:
        outcome = up if found.low > 0 else down
    same = f"less for {(its < 0).sum()} of them, more for {(its > 0).sum()}"
    return f"{_reach(found, question)}, {same}: {outcome}"


def _reach(found: Estimate, question: Question) -> str:
    """A difference with its interval and what it was measured on."""
    told = Quantity(form=f"+{question.form}").told
    parts = [f"{told(found.mean)}{question.points}", _counts(found)]
    if not math.isnan(found.low):
        parts.insert(1, f"95 % interval {told(found.low)} to {told(found.high)}")
    return ", ".join(parts)


def _counts(found: Estimate) -> str:
    return f"{found.clients} clients of {found.seeds} seed{'s' * (found.seeds != 1)}"
