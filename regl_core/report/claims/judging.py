"""A claim of the paper, what it says of each setting, and the verdict on that."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ..comparison import MIN_SEEDS, Comparison, Levels, Outcome, Scores
from ..rows import spoken

FEW = 5.0  # points, for "a few", "little": the largest gap in the paper's Table 2 is 3.5
WIDE = 20.0  # points, for "a wide margin", "ruin": half of the paper's "about 40"


@dataclass(frozen=True)
class Verdict:
    """What runs say of a claim in one setting: whether all `comparisons` are true.

    part : of the claim, where it has several in a setting.
    before, after : sentences told around the comparisons.
    needs : where there is nothing to compare, what that takes.
    most : it is enough that more than half are true; it does not hold once half are refuted.
    claim, dataset : number of the claim and name of the data set, set by `judge`.
    """

    setting: str  # empty where the runs have none that the claim is about
    comparisons: Sequence[Comparison] = ()
    part: str = ""
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    needs: str = ""
    most: bool = False
    claim: int = 0
    dataset: str = ""

    def count(self, outcome: Outcome) -> int:
        """How many comparisons have this outcome."""
        return sum(it.outcome == outcome for it in self.comparisons)

    @cached_property
    def verdict(self) -> Outcome:
        count = len(self.comparisons)
        if count and self.count("does not hold") >= (count / 2 if self.most else 1):
            return "does not hold"
        enough = count / 2 if self.most else count - 1  # more than so many are true
        return "holds" if count and self.count("holds") > enough else "not decided"

    @property
    def deciding(self) -> list[Comparison]:
        return [it for it in self.comparisons if it.outcome == self.verdict or self.most]

    @property
    def seeds(self) -> int:
        """The fewest behind any comparison that decides."""
        return min((len(it.differences) for it in self.deciding), default=0)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Sentences. Where only some comparisons decide, one names these."""
        why = [f"cannot be judged: it needs {self.needs}"] * (not self.comparisons)
        if self.most:
            holds, fails = map(self.count, ("holds", "does not hold"))
            does = "does" if fails == 1 else "do"
            why = [f"{holds} of {len(self.comparisons)} do, {fails} {does} not"]
        elif len(self.deciding) < len(self.comparisons):
            names = ", ".join(it.what for it in self.deciding)
            why = [f"{'refuted' if self.verdict == 'does not hold' else 'open'}: {names}"]
        return (*self.before, *why, *(it.words for it in self.comparisons), *self.after)

    @property
    def where(self) -> str:
        return ", ".join(filter(None, (self.dataset, spoken(self.setting), self.part)))

    @property
    def reason(self) -> str:
        """Why nothing is decided, in brackets; empty where something is."""
        if self.verdict != "not decided":
            return ""
        if self.seeds < MIN_SEEDS:
            return " (too few seeds)" if self.seeds else " (runs missing)"
        return f" (within the noise of {self.seeds} seeds)"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the function that gives what it says of some runs."""

    number: int
    artefact: str  # "table2": the one by whose runs it is judged
    text: str
    verdicts: Callable[[Scores], Iterable[Verdict]]  # none: no setting is one it is about
    remark: str = ""  # why it may not hold

    def why(self, verdicts: Iterable[Verdict]) -> str:
        """What is told below verdicts that are not all "holds"."""
        holds = all(verdict.verdict == "holds" for verdict in verdicts)
        return f"Why: {self.remark}" if self.remark and not holds else ""


def claim(
    number: int, artefact: str, text: str, remark: str = ""
) -> Callable[[Callable[[Scores], Iterable[Verdict]]], Claim]:
    """Makes a Claim of the function that follows."""
    return lambda verdicts: Claim(number, artefact, text, verdicts, remark)


def rises(
    scores: Scores, method: str, levels: Levels, per: str, after: Iterable[str] = ()
) -> Verdict:
    """That a method's accuracy rises with a number in its setting.

    The least-squares slope is positive and the last level is above the first. Single steps are
    too small for few seeds to decide; the means at each level are told besides.

    per : of the slope, whose unit is "points <per>".
    """
    first, last = min(levels.items())[1], max(levels.items())[1]
    if first == last:
        return Verdict(first, part=method, needs="two or more levels to rise over")
    ends = f"accuracy at {value_of(last)} > at {value_of(first)}"
    return Verdict(
        f"{first} to {value_of(last)}",
        [
            scores.slope("accuracy rises", method, levels, per),
            scores.compare(ends, [(last, method)], [(first, method)]),
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
