"""Ours beside a bare loop: both in turns within one process, so that both see the same machine."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Clock = Callable[[], float]  # seconds since some moment
Work = Callable[[], object]


@dataclass(frozen=True)
class Timings:
    """What both took, in seconds, one entry per repeat.

    warm: False if there was time for the first pair alone, which also pays for what happens once.
    """

    ours: tuple[float, ...]
    bare: tuple[float, ...]
    warm: bool

    @property
    def seconds(self) -> tuple[float, float]:
        """Medians of ours and bare."""
        return statistics.median(self.ours), statistics.median(self.bare)

    @property
    def share(self) -> float:
        """What ours reaches of the bare loop's speed, 1 is all: the median over the repeats."""
        return statistics.median(b / a for a, b in zip(self.ours, self.bare, strict=True))

    @property
    def overhead(self) -> tuple[float, float, float]:
        """Ours over bare: lower quartile, median, upper quartile. Needs two repeats."""
        ratios = [a / b for a, b in zip(self.ours, self.bare, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4)
        return low, median, high


def compare(
    ours: Work, bare: Work, clock: Clock, repeats: int, seconds: float = math.inf
) -> Timings:
    """Both, `repeats` times, after a first pair that warms up and is not counted.

    There are fewer repeats if another pair would not end within `seconds` from the start; how long
    one lasts is not known before it was seen warm.
    """
    begin = time.monotonic()
    pairs: list[tuple[float, float]] = []
    lasts = 0.0
    while not pairs or (len(pairs) <= repeats and time.monotonic() - begin + lasts <= seconds):
        started = time.monotonic()
        pairs.append((took(ours, clock), took(bare, clock)))
        lasts = time.monotonic() - started if len(pairs) > 1 else 0.0
    warm = len(pairs) > 1
    first, second = zip(*(pairs[1:] if warm else pairs), strict=True)
    return Timings(first, second, warm)


def took(work: Work, clock: Clock) -> float:
    """How long `work` took by `clock`."""
    start = clock()
    work()
    return clock() - start


def clock(device: torch.device) -> Clock:
    """For work on `device`: of a GPU, time when all of it is done; of a CPU, processor time.

    Processor time is what other programs disturb least.
    """
    if device.type == "cpu":
        return time.process_time

    def now() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return now
