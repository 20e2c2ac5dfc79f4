"""One kind of work measured on one machine, and the guard around what may fail or take too long."""

import gc
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from .lines import Findings, Line
from .pairs import Work, clock, compare

GB = 10**9


@dataclass(frozen=True)
class Amounts:
    """How much of each kind of work makes one repeat, in images."""

    lessons: int  # tuned on
    captions: int
    features: int
    counts: tuple[int, ...]  # of each client
    tested: int


@dataclass(frozen=True)
class Machine:
    """What does the work."""

    name: str
    device: torch.device
    repeats: int = 7

    @classmethod
    def here(cls) -> "Machine":
        """The first GPU, or the CPU where there is none."""
        if torch.cuda.is_available():
            return cls(torch.cuda.get_device_name(0), torch.device("cuda", 0))
        return cls("cpu", torch.device("cpu"))

    @property
    def tiny(self) -> bool:
        """Whether it is too slow for true sizes."""
        return self.device.type == "cpu"

    def measure(
        self,
        unit: str,
        size: str,
        dtype: str,
        amount: float,
        ours: Work,
        bare: Work | None,
        seconds: float,
    ) -> Line:
        """`ours`, which does `amount` of `unit`, beside `bare`, in about `seconds` at most."""
        peaks = []

        def watched() -> None:
            self._forget_peak()
            ours()
            peaks.append(self._peak())

        both = compare(watched, bare or _nothing, clock(self.device), self.repeats, seconds)
        share, speed = both.share if bare else None, amount / both.seconds[0]
        return Line(self.name, unit, size, dtype, speed, max(peaks) / GB, share, both.warm)

    def _forget_peak(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def _peak(self) -> int:
        """Bytes: the most that tensors held on the GPU, or this process in memory so far."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _nothing() -> None: ...


@dataclass(frozen=True)
class Section:
    """Lines that belong together.

    lines: is told how many seconds they may take. after: what to do when they stand, or failed.
    """

    title: str
    weight: float  # of the time, relative to other sections
    lines: Callable[[float], Iterator[Line]]
    after: Callable[[], None] = lambda: None


def run(sections: Sequence[Section], seconds: float, findings: Findings) -> None:
    """All `sections` within `seconds`; one that fails or takes too long costs no other its lines.

    Each is told its part of the time that is left, and stopped after twice as much, or when all
    time is over.
    """
    end = time.monotonic() + seconds
    for number, section in enumerate(sections):
        left = end - time.monotonic()
        if left <= 0:
            findings.fail(f"{section.title}: no time was left")
            continue
        part = left * section.weight / sum(later.weight for later in sections[number:])
        try:
            with stopped_after(min(2 * part, left)):
                for line in section.lines(part):
                    findings.add(line)
        except (Exception, OutOfTime) as error:  # whatever it is, the others are worth having
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            findings.fail(f"{section.title}, from here on: {reason}")
        section.after()
        release()


class OutOfTime(BaseException):
    """Time is over. No library takes it for an error of its own and goes on."""


@contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """Raises OutOfTime within the block when it has taken `seconds`. Main thread only."""

    def stop(*_: object) -> None:
        raise OutOfTime(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def release() -> None:
    """Gives back what the last section held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
