"""A claim of the paper, what it says of each setting, and the verdict on that."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..comparison import MIN_SEEDS, Comparison, Outcome, Quantity
from ..rows import spoken
from ..scores import Levels, Scores

FEW = 5.0  # points, for "a few", "little": the largest gap in the paper's Table 2 is 3.5
WIDE = 20.0  # points, for "a wide margin", "ruin": half of the paper's "about 40"


@dataclass(frozen=True)
class Statement:
    """What a claim says of one setting: that all `comparisons` are true.

    part : of the claim, where it has several in a setting.
    before, after : sentences told around the comparisons.
    needs : where there is nothing to compare, what that takes.
    most : it is enough that more than half are true; it does not hold once half are refuted.
    """

    setting: str
    comparisons: Sequence[Comparison] = ()
    part: str = ""
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    needs: str = ""
    most: bool = False

    def count(self, outcome: Outcome) -> int:
        """How many comparisons have this outcome."""
        return sum(it.outcome == outcome for it in self.comparisons)

    @property
    def outcome(self) -> Outcome:
        count = len(self.comparisons)
        if count and self.count("does not hold") >= (count / 2 if self.most else 1):
            return "does not hold"
        enough = count / 2 if self.most else count - 1  # more than so many are true
        return "holds" if count and self.count("holds") > enough else "not decided"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the function that says of what it consists in some runs.

    statements : none if the runs have no setting that the claim is about.
    """

    number: int
    artefact: str  # "table2": the one by whose runs it is judged
    text: str
    statements: Callable[[Scores], Iterable[Statement]]
    remark: str = ""  # why it may not hold, told below verdicts that are not "holds"


def claim(
    number: int, artefact: str, text: str, remark: str = ""
) -> Callable[[Callable[[Scores], Iterable[Statement]]], Claim]:
    """Makes a Claim of the function that follows."""
    return lambda statements: Claim(number, artefact, text, statements, remark)


@dataclass(frozen=True)
class Verdict:
    """What the runs say about one statement of a claim on one data set."""

    claim: int  # number in CLAIMS
    dataset: str
    setting: str  # empty where the runs have none that the claim is about
    verdict: Outcome
    evidence: tuple[str, ...]  # sentences
    seeds: int  # the fewest behind any comparison that decides
    part: str = ""

    @property
    def where(self) -> str:
        return ", ".join(filter(None, (self.dataset, spoken(self.setting), self.part)))

    @property
    def outcome(self) -> str:
        """The verdict, and in brackets why nothing is decided."""
        if self.verdict != "not decided":
            return self.verdict
        reason = f"within the noise of {self.seeds} seeds"
        if self.seeds < MIN_SEEDS:
            reason = "too few seeds" if self.seeds else "runs missing"
        return f"{self.verdict} ({reason})"


def judged(claim: int, dataset: str, statement: Statement) -> Verdict:
    """The verdict on `statement`. Where only some comparisons decide, a sentence names these."""
    comparisons, outcome = statement.comparisons, statement.outcome
    deciding = [it for it in comparisons if it.outcome == outcome or statement.most]
    why = [f"cannot be judged: it needs {statement.needs}"] * (not comparisons)
    if statement.most:
        holds, fails = map(statement.count, ("holds", "does not hold"))
        why = [f"{holds} of {len(comparisons)} do, {fails} {'does' if fails == 1 else 'do'} not"]
    elif len(deciding) < len(comparisons):
        names = ", ".join(it.what for it in deciding)
        why = [f"{'refuted' if outcome == 'does not hold' else 'open'}: {names}"]
    words = [it.words for it in comparisons]
    seeds = min((len(it.differences) for it in deciding), default=0)
    evidence = (*statement.before, *why, *words, *statement.after)
    return Verdict(claim, dataset, statement.setting, outcome, evidence, seeds, statement.part)


def rises(
    scores: Scores, method: str, levels: Levels, per: str, after: Iterable[str] = ()
) -> Statement:
    """That a method's accuracy rises with a number in its setting.

    The least-squares slope is positive and the last level is above the first. Single steps are
    too small for few seeds to decide; the means at each level are told besides.

    per : of the slope, whose unit is "points <per>".
    """
    first, last = min(levels.items())[1], max(levels.items())[1]
    if first == last:
        return Statement(first, part=method, needs="two or more levels to rise over")
    slope = Quantity("slope", f"points {per}")
    ends = f"accuracy at {value_of(last)} > at {value_of(first)}"
    return Statement(
        f"{first} to {value_of(last)}",
        [
            scores.slope("accuracy rises", method, levels, slope),
            scores.fall(ends, method, last, first),
        ],
        part=method,
        after=[*_steps(scores, method, levels), *after],
    )


def _steps(scores: Scores, method: str, levels: Levels) -> list[str]:
    means = {setting: scores.mean(setting, method) for setting in levels.values()}
    if any(map(math.isnan, means.values())):
        return []
    up = sum(later > earlier for earlier, later in pairwise(means.values()))
    series = ", ".join(f"{mean:.1f} % at {value_of(setting)}" for setting, mean in means.items())
    return [f"{up} of {len(means) - 1} steps up in the means: {series}"]


def value_of(setting: str) -> str:
    """What the last part of a setting's name says: 5 of ``beta=0.01;clients=5``."""
    return setting.rpartition("=")[2]
