"""What notebooks will cost: time, disk, memory; each stage counted where it is first asked for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..engine.runner import Todo, closure
from ..engine.stage import Stage
from ..params import FoundationSettings
from . import counts, footprint
from .footprint import Peak
from .rates import Rates, uses_gpu
from .work import Work, total


@dataclass(frozen=True)
class Line:
    """What one notebook asks for, and what it adds to those before it.

    Attributes
    ----------
    runs, stages, unique
        Runs asked for; stages behind them, counted for each run, and once.
    shared, present
        Of the unique ones those that an earlier notebook has too, and those that need not be
        computed.
    device_seconds, seconds
        Of what it adds: on one core or GPU, and until all of them are done with it.
    disk
        Bytes that it adds.
    peak
        Of a process that computes all that it lacks.
    """

    notebook: str
    runs: int
    stages: int
    unique: int
    shared: int
    present: int
    device_seconds: float
    seconds: float
    disk: float
    peak: Peak


@dataclass(frozen=True)
class Kind:
    """All stages of one kind."""

    kind: str
    unique: int
    missing: int
    device_seconds: float


@dataclass(frozen=True)
class Budget:
    """A line for each notebook and one for all of them, and what they rest on.

    work : all that is missing. workers : processes, each on a core or, with `on_gpu`, on a GPU.
    """

    lines: tuple[Line, ...]
    kinds: tuple[Kind, ...]
    work: Work
    workers: int
    on_gpu: bool
    rates: Rates

    @property
    def measured(self) -> float:
        """The share of the time that rests on measurements of the very work, 0 to 1."""
        times = {unit: much * self.rates.of(unit).seconds for unit, much in self.work.items()}
        sure = sum(time for unit, time in times.items() if self.rates.of(unit).measured)
        return sure / (sum(times.values()) or 1)


def survey(
    asked: Mapping[str, Sequence[Stage]],
    missing: Mapping[str, Stage],
    rates: Rates,
    foundation: FoundationSettings,
    cores: int,
    gpus: int,
) -> Budget:
    """What it takes to have what notebooks ask for.

    missing : the stages that must be computed for it, by key. foundation : the models whose weights
    a process holds. cores, gpus : how many there are; one GPU is assumed where there is none and
    stages need one.
    """
    works = {key: counts.of(stage) for key, stage in missing.items()}
    seconds = counts.seconds(missing, rates)
    on_gpu = any(map(uses_gpu, works.values()))
    workers = max(gpus, 1) if on_gpu else cores
    lines, unique, todo, spent = [], {}, Todo({}, {}), 0.0
    for name, targets in asked.items():
        own = closure(targets)
        lacks = closure(targets, lambda stage: stage.key not in missing)
        added = [key for key in lacks if key not in todo.stages]
        stages = todo.stages | {key: missing[key] for key in added}
        todo = Todo(stages, {key: seconds[key] for key in stages})
        span = todo.span(workers)
        lines.append(
            Line(
                notebook=name,
                runs=len(targets),
                stages=sum(len(closure([target])) for target in targets),
                unique=len(own),
                shared=len(own.keys() & unique.keys()),
                present=len(own) - len(lacks),
                device_seconds=sum(seconds[key] for key in added),
                seconds=span - spent,
                disk=sum(footprint.disk(works[key]) for key in added),
                peak=footprint.peak((works[key] for key in lacks), foundation),
            )
        )
        unique, spent = unique | own, span
    lines.append(
        Line(
            notebook="all",
            runs=sum(line.runs for line in lines),
            stages=sum(line.stages for line in lines),
            unique=len(unique),
            shared=sum(line.shared for line in lines),
            present=len(unique) - len(missing),
            device_seconds=sum(seconds.values()),
            seconds=spent,
            disk=sum(line.disk for line in lines),
            peak=footprint.peak(works.values(), foundation),
        )
    )
    return Budget(
        tuple(lines),
        tuple(_kinds(unique, seconds)),
        total(*works.values()),
        workers,
        on_gpu,
        rates,
    )


def _kinds(unique: Mapping[str, Stage], seconds: Mapping[str, float]) -> Iterator[Kind]:
    """A line for each kind of stage, in the order in which they come."""
    for kind in dict.fromkeys(stage.kind for stage in unique.values()):
        own = {key: stage for key, stage in unique.items() if stage.kind == kind}
        missing = [key for key in own if key in seconds]
        yield Kind(kind, len(own), len(missing), sum(seconds[key] for key in missing))
