"""A claim of the paper, what it says of each setting, and the verdict on that.

A claim on several comparisons is decided by the p-value of a partial conjunction (Benjamini and
Heller, "Screening for partial conjunction hypotheses", 2008): that r of k are so has
(k − r + 1) · p₍ᵣ₎. For all of k this is the largest p-value; for one of k, as many times the
smallest, so that a claim on many comparisons is not refuted by chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ..comparison import LEVELS, MIN_SEEDS, Comparison, Levels, Outcome, Scores
from ..rows import spoken

MOST_SEEDS = 1000  # that are still counted
FEW = 5.0  # points, for "a few", "little": the largest gap in the paper's Table 2 is 3.5
WIDE = 20.0  # points, for "a wide margin", "ruin": half of the paper's "about 40"


@dataclass(frozen=True)
class Verdict:
    """What runs say of a claim in one setting: whether all `comparisons` are true.

    part : of the claim, where it has several in a setting.
    before, after : sentences told around the comparisons.
    needs : where there is nothing to compare, what that takes.
    most : it is enough that more than half are true.
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

    def decided(self, seeds: int | None = None) -> Outcome:
        """The verdict, with so many `seeds` if given, means and deviations as they are."""
        count = len(self.comparisons)
        true = count // 2 + 1 if self.most else count  # so many have to be
        for outcome, level in LEVELS.items():
            many = true if outcome == "holds" else count - true + 1
            ordered = sorted(it.p_value(outcome, seeds) for it in self.comparisons)
            if count and (count - many + 1) * ordered[many - 1] < level:
                return outcome
        return "not decided"

    @cached_property
    def verdict(self) -> Outcome:
        return self.decided()

    @property
    def deciding(self) -> list[Comparison]:
        """Those that say what the verdict says; while it is open, those that do not hold yet."""
        if self.verdict == "not decided":
            return [it for it in self.comparisons if it.outcome != "holds"]
        return [it for it in self.comparisons if it.outcome == self.verdict]

    @property
    def seeds(self) -> int:
        """The fewest behind any comparison that decides."""
        return min((len(it.differences) for it in self.deciding), default=0)

    @cached_property
    def seeds_needed(self) -> int | None:
        """How many would decide, if means and deviations stay; None if unknown or `MOST_SEEDS`."""
        if self.verdict != "not decided" or self.seeds < MIN_SEEDS:
            return None
        tried = range(self.seeds + 1, MOST_SEEDS)
        return next((n for n in tried if self.decided(n) != "not decided"), None)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Sentences. Where only some comparisons decide, one names these."""
        why = [f"cannot be judged: it needs {self.needs}"] * (not self.comparisons)
        if self.most:
            holds = sum(it.outcome == "holds" for it in self.comparisons)
            why = [f"{holds} of {len(self.comparisons)} do"]
        elif len(self.deciding) < len(self.comparisons):
            words = {"does not hold": "refuted", "not decided": "open"}
            names = ", ".join(it.what for it in self.deciding)
            why = [f"{words.get(self.verdict, self.verdict)}: {names}"]
        return (*self.before, *why, *(it.words for it in self.comparisons), *self.after)

    @property
    def seen(self) -> str:
        """What our runs show, in short: of several comparisons the one that holds least."""
        judged = [it for it in self.comparisons if len(it.differences) > 1]
        if not judged:
            return ""
        least = min(judged, key=lambda it: it.mean - it.above)
        low, high = map(least.told, least.interval)
        others = f", the tightest of {len(judged)}" if len(judged) > 1 else ""
        size = f"{least.told(least.mean)} {least.unit}".rstrip()
        return f"{least.what}: {size} [{low}, {high}]{others}"

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
        more = f"about {self.seeds_needed}" if self.seeds_needed else f"more than {MOST_SEEDS:,}"
        return f" (within the noise of {self.seeds} seeds; {more} would decide)"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the function that gives what it says of some runs."""

    number: int
    artefact: str  # "table2": the one by whose runs it is judged
    text: str
    verdicts: Callable[[Scores], Iterable[Verdict]]  # none: no setting is one it is about


def claim(
    number: int, artefact: str, text: str
) -> Callable[[Callable[[Scores], Iterable[Verdict]]], Claim]:
    """Makes a Claim of the function that follows."""
    return lambda verdicts: Claim(number, artefact, text, verdicts)


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
