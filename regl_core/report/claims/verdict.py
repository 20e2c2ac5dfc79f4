"""A claim of the paper, the verdict on it, and the ways to one that claims share."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from ..comparison import MIN_SEEDS, Comparison, Outcome, Quantity
from ..formats import spoken
from ..scores import Levels, Scores

FEW = 5.0  # points, for "a few", "little": the largest gap in the paper's Table 2 is 3.5
WIDE = 20.0  # points, for "a wide margin", "ruin": half of the paper's "about 40"


@dataclass(frozen=True)
class Verdict:
    """What the runs say about one claim on one data set in one setting."""

    claim: int  # number in CLAIMS
    dataset: str
    setting: str  # empty where the runs have none that the claim is about
    verdict: Outcome
    evidence: tuple[str, ...]  # sentences
    seeds: int  # the fewest behind any comparison that decides
    part: str = ""  # of the claim, where it has several in a setting

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


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the function that judges it.

    judge : from `runs` and `paper`, the verdicts; none for a data set without any setting that
        the claim is about. For tables the frames are those of `layout.arrange`; for figures
        `runs` has the columns of the figure's CSV, and `paper` no rows.
    """

    number: int
    artefact: str  # "table2": the one by whose runs it is judged
    text: str
    judge: Callable[[pd.DataFrame, pd.DataFrame], Iterable[Verdict]]
    remark: str = ""  # why it may not hold, told below verdicts that are not "holds"


def missing(claim: int, dataset: str, setting: str, needs: str, part: str = "") -> Verdict:
    """The verdict on a claim that needs settings or methods that were not run."""
    evidence = (f"cannot be judged: it needs {needs}",)
    return Verdict(claim, dataset, setting, "not decided", evidence, 0, part)


def all_true(
    claim: int,
    scores: Scores,
    setting: str,
    comparisons: list[Comparison],
    before: Iterable[str] = (),
    after: Iterable[str] = (),
    part: str = "",
) -> Verdict:
    """The verdict on a claim that says that all `comparisons` are true, told between two texts.

    Where only some of them keep it from holding, a sentence names these.
    """
    order: tuple[Outcome, ...] = ("does not hold", "not decided", "holds")
    outcomes = {comparison.outcome for comparison in comparisons}
    verdict = next(outcome for outcome in order if outcome in outcomes)
    deciding = [comparison for comparison in comparisons if comparison.outcome == verdict]
    why = []
    if len(deciding) < len(comparisons):
        names = ", ".join(comparison.what for comparison in deciding)
        why = [f"{'refuted' if verdict == 'does not hold' else 'open'}: {names}"]
    words = [comparison.words for comparison in comparisons]
    seeds = min(len(comparison.differences) for comparison in deciding)
    evidence = (*before, *why, *words, *after)
    return Verdict(claim, scores.dataset, setting, verdict, evidence, seeds, part)


def rises(
    claim: int,
    scores: Scores,
    method: str,
    levels: Levels,
    per: str,
    after: Iterable[str] = (),
) -> Verdict:
    """The verdict on a claim that a method's accuracy rises with a number in its setting.

    It holds if the least-squares slope is positive and the last level is above the first. Single
    steps are too small for few seeds to decide; the means at each level are told besides.

    per : of the slope, whose unit is "points <per>".
    """
    first, last = min(levels.items())[1], max(levels.items())[1]
    if first == last:
        return missing(claim, scores.dataset, first, "two or more levels to rise over", method)
    span = f"{first} to {value_of(last)}"
    slope = Quantity("slope", f"points {per}")
    comparisons = [
        scores.slope("accuracy rises", method, levels, slope),
        scores.compare(
            f"accuracy at {value_of(last)} > at {value_of(first)}",
            [(last, method)],
            [(first, method)],
        ),
    ]
    told = _steps(scores, method, levels)
    return all_true(claim, scores, span, comparisons, after=[*told, *after], part=method)


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
