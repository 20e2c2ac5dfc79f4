"""Methods compared seed by seed: differences, their size, their interval, and what it decides.

Runs of one seed share images, partition and initial model, so their difference is free of what
these contribute. Paired t-tests of the mean difference decide, from at least three seeds: that it
exceeds a threshold or stays below it, each where the two-sided 95 % interval lies clear of it; or
that two accuracies do not differ by as much as `EQUAL` points, by two one-sided tests at 5 %
(Schuirmann 1987). Else nothing is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import stdev
from typing import TYPE_CHECKING, Literal

from .rows import POOLED, spoken

if TYPE_CHECKING:
    import pandas as pd

MIN_SEEDS = 3  # with two, the 95 % interval is 18 standard deviations wide
CONFIDENCE = 0.95
EQUAL = 5.0  # points, within which two accuracies are taken for equal

Outcome = Literal["holds", "does not hold", "no difference", "not decided"]
LEVELS = {"holds": 0.025, "does not hold": 0.025, "no difference": 0.05}  # one-sided; first wins

REGL = FT, TF = "ReGL (FT)", "ReGL (TF)"
# Of ours, `methods.controls`: of ReGL in Tables 2 and 3, of ReGL and of Separate in Table 4.
CONTROLS = STEPS, TUNED, LONGER = (
    "FedAvg (same steps)",
    "FedAvg (fine-tuned)",
    "Separate (same epochs)",
)
COLUMN = ["setting", "method"]

Key = tuple[str, str]  # setting and method
Levels = Mapping[float, str]  # settings by a number in which alone they differ, ascending


@dataclass(frozen=True)
class Comparison:
    """That a difference exceeds a threshold."""

    what: str
    differences: tuple[float, ...]  # one per seed
    paper: float = math.nan  # the paper's difference; NaN where it gives none
    above: float = 0.0
    unit: str = "points"  # of accuracy; empty for a number without unit
    name: str = "difference"  # of what is compared, as it is told

    @property
    def mean(self) -> float:
        return sum(self.differences) / len(self.differences)

    @property
    def effect(self) -> float:
        """Cohen's d of paired differences, mean / standard deviation; needs two seeds.

        Infinite if all differences are equal, NaN if all are 0.
        """
        deviation = stdev(self.differences)
        if deviation == 0:
            return math.copysign(math.inf, self.mean) if self.mean else math.nan
        return self.mean / deviation

    @property
    def interval(self) -> tuple[float, float]:
        """Of the mean difference, at CONFIDENCE, two-sided; needs two seeds."""
        # Not `scipy.stats`, which takes a second to import and, where all differences are equal,
        # warns and rounds.
        from scipy.special import stdtrit

        n = len(self.differences)
        quantile = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2))
        half = quantile * stdev(self.differences) / math.sqrt(n)
        return self.mean - half, self.mean + half

    def p_value(self, outcome: Outcome, seeds: int | None = None) -> float:
        """One-sided, against what `outcome` says; 1 where there are too few seeds to say anything.

        seeds : how many there would be, with mean and deviation as they are.
        """
        from scipy.special import stdtr

        own = len(self.differences)
        if own < MIN_SEEDS:
            return 1.0
        n = seeds or own
        error = stdev(self.differences) / math.sqrt(n)

        def exceeds(threshold: float) -> float:
            gap = self.mean - threshold
            if not error:
                return 0.5 - math.copysign(0.5, gap) if gap else 0.5
            return float(stdtr(n - 1, -gap / error))

        if outcome == "holds":
            return exceeds(self.above)
        if outcome == "does not hold":
            return 1 - exceeds(self.above)
        if self.above or self.unit != "points" or exceeds(0) < LEVELS["holds"]:
            return 1.0  # not a question of equal accuracies, or a small difference
        return max(exceeds(-EQUAL), 1 - exceeds(EQUAL))

    @cached_property
    def outcome(self) -> Outcome:
        found = (it for it, level in LEVELS.items() if self.p_value(it) < level)
        return next(found, "not decided")

    def told(self, value: float, form: str = "") -> str:
        """`value` with its sign, a minus as it is printed; −0 is +0."""
        return f"{value:+z{form or ('.1f' if self.unit else '.3g')}}".replace("-", "−")

    @property
    def words(self) -> str:
        n = len(self.differences)
        if n == 0:
            return f"{self.what}: no seed has all of these runs"
        met = sum(difference > self.above for difference in self.differences)
        facts = [f"mean {self.name} {self.told(self.mean)} {self.unit}".rstrip()]
        if n >= MIN_SEEDS:
            low, high = map(self.told, self.interval)
            facts.append(f"{100 * CONFIDENCE:.0f} % interval {low} to {high}")
        if n > 1:
            d = self.effect
            facts.append(f"Cohen's d {self.told(d, '.1f')}" if math.isfinite(d) else "all equal")
        if not math.isnan(self.paper):
            facts.append(f"paper {self.told(self.paper)}")
        return f"{self.what} in {met} of {n} seed{'s' * (n != 1)} ({', '.join(facts)})"


@dataclass(frozen=True)
class Scores:
    """One number per run on one data set.

    runs : rows of that data set, as a CSV holds them; paper : the published ones beside them.
    value : the column of `runs` compared; of several rows of one run, their mean.
    unit : of a difference between two of them.
    """

    dataset: str
    runs: pd.DataFrame
    paper: pd.DataFrame
    value: str = "accuracy_pct"
    unit: str = "points"

    def of(self, value: str, unit: str = "", **columns: pd.Series) -> Scores:
        """Those of another column, which can be one of the new `columns`."""
        runs = self.runs.assign(**columns)
        return replace(self, runs=runs, value=value, unit=unit)

    @cached_property
    def ours(self) -> pd.DataFrame:
        """A row per seed, columns (setting, method) in the order in which they were run."""
        means = self.runs.groupby(["seed", *COLUMN])[self.value].mean().unstack(COLUMN)
        return means[list(self.runs[COLUMN].drop_duplicates().itertuples(index=False, name=None))]

    @cached_property
    def diverged(self) -> set[Key]:
        """Where some seed's run has, which therefore compares with nothing."""
        lost = self.runs["accuracy_pct"].isna() if self.value == "accuracy_pct" else []
        return set(self.runs.loc[lost, COLUMN].itertuples(index=False, name=None))

    @cached_property
    def published(self) -> pd.DataFrame:
        """One row, columns as those of `ours`."""
        return self.paper.set_index(COLUMN)[["accuracy_pct"]].T.astype(float)

    @property
    def settings(self) -> list[str]:
        return [setting for setting in dict.fromkeys(s for s, _ in self.ours) if setting != POOLED]

    @property
    def betas(self) -> list[str]:
        """Settings that are nothing but a Dirichlet partition, the most skewed first."""
        return list(self.along("beta").get("", {}).values())

    def along(self, name: str) -> dict[str, Levels]:
        """Settings ``<rest>;<name>=<number>`` by their rest and, ascending, their number."""
        found: dict[str, dict[float, str]] = {}
        for setting in self.settings:
            rest, _, last = setting.rpartition(";")
            key, _, number = last.partition("=")
            if key == name:
                found.setdefault(rest, {})[float(number.rstrip("%"))] = setting
        return {rest: dict(sorted(levels.items())) for rest, levels in found.items()}

    def baselines(self, *settings: str) -> list[str]:
        """Rivals of ReGL that were run; FedAvg if none was, so that no claim holds by default."""
        return _rivals(self.ours, settings) or ["FedAvg"]

    def coverage(self, *settings: str) -> list[str]:
        """How many of the paper's baselines stand behind "every baseline", unless it is all."""
        known, run = set(_rivals(self.published, settings)), set(_rivals(self.ours, settings))
        if known <= run:
            return []
        return [f"With {len(known & run)} of the paper's {len(known)} baselines run"]

    def contrast(
        self, what: str, weights: Mapping[Key, float], above: float = 0.0, **told: str
    ) -> Comparison:
        """Compare the weighted sum of scores with `above`, in the seeds that have them all.

        told : name and unit of what is compared.
        """

        def total(frame: pd.DataFrame) -> pd.Series:
            columns = frame.T.reindex(list(weights)).T
            return (columns * list(weights.values())).sum(axis=1, skipna=False).dropna()

        if lost := [f"{method} at {spoken(its)}" for its, method in self.diverged & {*weights}]:
            return Comparison(f"{what}, but {', '.join(sorted(lost))} diverged", ())
        # Rounded, so that no rounding error of a float decides.
        ours, paper = total(self.ours).round(9), total(self.published)
        published = paper.sum() if len(paper) else math.nan
        return Comparison(what, tuple(ours), published, above, **{"unit": self.unit, **told})

    def compare(
        self, what: str, plus: list[Key], minus: list[Key], above: float = 0.0
    ) -> Comparison:
        """Compare sum of `plus` - sum of `minus` with `above`, in the seeds that have them all."""
        return self.contrast(what, dict.fromkeys(plus, 1.0) | dict.fromkeys(minus, -1.0), above)

    def lead(self, setting: str, one: str, other: str, above: float = 0.0) -> Comparison:
        """That `one` leads `other`, by more than `above` points."""
        what = f"{one} more than {above:.0f} points above {other}" if above else f"{one} > {other}"
        return self.compare(what, [(setting, one)], [(setting, other)], above)

    def leads(self, setting: str, one: str, above: float = 0.0) -> list[Comparison]:
        """That `one` leads every baseline."""
        return [self.lead(setting, one, other, above) for other in self.baselines(setting)]

    def over_controls(self, setting: str) -> list[str]:
        """What remains of ReGL's gains over a control of ours that was run, in sentences."""
        run = [it for it in (STEPS, TUNED) if (setting, it) in self.ours]
        pairs = ((method, control) for control in run for method in REGL)
        return [f"over the control, {self.lead(setting, *pair).words}" for pair in pairs]

    def lead_falls(self, what: str, one: str, other: str, start: str, end: str) -> Comparison:
        """That `one` is further above `other` in the setting `start` than in `end`."""
        return self.compare(what, [(start, one), (end, other)], [(start, other), (end, one)])

    def slope(self, what: str, method: str, levels: Levels, per: str) -> Comparison:
        """That the least-squares line through the scores of `method` rises; needs two levels.

        per : of the slope, whose unit is "points <per>".
        """
        middle = sum(levels) / len(levels)
        squares = sum((level - middle) ** 2 for level in levels)
        weights = {(its, method): (level - middle) / squares for level, its in levels.items()}
        return self.contrast(what, weights, name="slope", unit=f"points {per}")

    def mean(self, setting: str, method: str) -> float:
        """Over the seeds that were run; NaN if none was."""
        return self.ours[setting, method].mean() if (setting, method) in self.ours else math.nan


def _rivals(frame: pd.DataFrame, settings: Iterable[str]) -> list[str]:
    own = {*REGL, *CONTROLS}
    return list(dict.fromkeys(m for its, m in frame if its in settings and m not in own))
