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
class Quantity:
    """What is compared, as it is told."""

    name: str = "difference"
    unit: str = "points"  # of accuracy; empty for a number without unit
    form: str = "+.1f"

    def told(self, value: float) -> str:
        return _signed(value, self.form)


POINTS = Quantity()
PLAIN = Quantity(unit="", form="+.3g")


@dataclass(frozen=True)
class Comparison:
    """That a difference exceeds a threshold."""

    what: str
    differences: tuple[float, ...]  # one per seed
    paper: float = math.nan  # the paper's difference; NaN where it gives none
    above: float = 0.0
    quantity: Quantity = POINTS

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

    @property
    def words(self) -> str:
        n, told = len(self.differences), self.quantity.told
        if n == 0:
            return f"{self.what}: no seed has all of these runs"
        met = sum(difference > self.above for difference in self.differences)
        facts = [f"mean {self.quantity.name} {told(self.mean)} {self.quantity.unit}".rstrip()]
        if n >= MIN_SEEDS:
            low, high = self.interval
            facts.append(f"{100 * CONFIDENCE:.0f} % interval {told(low)} to {told(high)}")
        if n > 1:
            d = self.effect
            facts.append(f"Cohen's d {_signed(d, '+.1f')}" if math.isfinite(d) else "all equal")
        if not math.isnan(self.paper):
            facts.append(f"paper {told(self.paper)}")
        return f"{self.what} in {met} of {n} seed{'s' * (n != 1)} ({', '.join(facts)})"


def _signed(value: float, form: str) -> str:
    text = format(value, form)
    zero = format(0.0, form)
    return (zero if text == zero.replace("+", "-") else text).replace("-", "−")
