"""Methods compared seed by seed: differences, their size, their interval, and what it decides.

Runs of one seed share partition and initial model, so their difference is free of what these
contribute. That a difference exceeds a threshold is decided by the two-sided 95 % t-interval of
its mean, from at least three seeds; while the interval contains the threshold, nothing is.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import stdev
from typing import Literal

MIN_SEEDS = 3  # with two, the 95 % interval is 18 standard deviations wide
CONFIDENCE = 0.95

Outcome = Literal["holds", "does not hold", "not decided"]


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

    @cached_property
    def outcome(self) -> Outcome:
        if len(self.differences) < MIN_SEEDS:
            return "not decided"
        low, high = self.interval
        if low > self.above:
            return "holds"
        return "does not hold" if high < self.above else "not decided"

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
