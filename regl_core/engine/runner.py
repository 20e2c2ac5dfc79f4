"""Computing the stages that are missing, in parallel, the longest chain of them first."""

import sys
from collections.abc import Callable, Iterable, Sequence
from graphlib import TopologicalSorter
from threading import RLock

from tqdm import tqdm

from ..errors import Halt, Incomplete, ReglError
from ..system import places
from .digest import check_unchanged
from .stage import Stage
from .store import Store
from .workers import Failed, Workers

Watch = Callable[[float, str], None]  # gets the share of the work done, and what is running
Seconds = Callable[[Stage], float]  # an estimate of how long a stage takes


def run_stages(
    targets: Sequence[Stage],
    store: Store,
    workers: int | None = None,
    progress: bool = True,
    watch: Watch = lambda fraction, running: None,
    seconds: Seconds = lambda stage: 1.0,
) -> None:
    """Have every one of `targets` in `store`, computing with `workers` processes what is missing.

    None: one for each GPU, or for each core where nothing that is missing needs a GPU.

    What a target that is there was made from is not asked for. `progress` shows one bar.
    The results are the same for any number of workers. `watch` is called at least once a second
    while there is something to compute; what it raises kills the workers and leaves from here.
    `seconds` estimates a stage, for the bar and the order alone.

    Raises
    ------
    Incomplete
        Stages failed, or workers were killed. What does not need them has been computed all the
        same; the error lists them, with what to do.
    Halt
        As soon as nothing further can succeed (the disk is full, say). What ran is finished.
    ReglError
        Before any computation, when `workers` is not positive or the code was edited.
    """
    if workers is not None and workers < 1:
        raise ReglError(f"workers is {workers}; expected at least 1")
    check_unchanged({stage.code for stage in closure(targets).values()})
    lacking = closure(targets, store.has)
    if not lacking:
        return
    took = {key: max(seconds(stage), 1e-3) for key, stage in lacking.items()}
    store.sweep()
    where = places(any(stage.on_gpu for stage in lacking.values()), workers)[: len(lacking)]
    with Workers(store, where) as pool, _bar(len(lacking), sum(took.values()), progress) as bar:
        failures, finished = _drive(lacking, took, pool, bar, watch)
    if failures:
        halted = any(failed.halts for _, failed in failures)
        raise (Halt if halted else Incomplete)(_report(failures, len(lacking), finished))


def _drive(
    stages: dict[str, Stage], took: dict[str, float], pool: Workers, bar: tqdm, watch: Watch
) -> tuple[list[tuple[Stage, Failed]], int]:
    """Compute `stages`, the longest chain first; which failed, and how many are finished.

    What needs a stage that failed is not begun, and after a failure that halts nothing is.
    """
    needs = {key: [it.key for it in its.inputs if it.key in stages] for key, its in stages.items()}
    chains = dict(took)  # seconds of the longest chain of stages that begins with one
    for key in reversed(stages):
        for need in needs[key]:
            chains[need] = max(chains[need], took[need] + chains[key])
    order = TopologicalSorter(needs)
    order.prepare()
    ready: list[str] = []
    fractions, finished = dict.fromkeys(stages, 0.0), 0
    failures: list[tuple[Stage, Failed]] = []
    while True:
        ready = sorted([*ready, *order.get_ready()], key=chains.get)
        while ready and pool.idle and not any(failed.halts for _, failed in failures):
            pool.start(stages[ready.pop()])
        kinds = "+".join(sorted({stage.kind for stage in pool.running})) or "stages"
        running = f"{kinds} {finished}/{len(stages)}"
        bar.set_description_str(running, refresh=False)
        done = sum(took[key] * fraction for key, fraction in fractions.items())
        bar.update(max(done - bar.n, 0.0))
        watch(done / sum(took.values()), running)
        if not pool.running:
            break
        for stage, news in pool.news(seconds=1.0):
            if isinstance(news, Failed):
                failures.append((stage, news))
            else:
                fraction = 1.0 if news is None else min(news, 1.0)
                fractions[stage.key] = max(fractions[stage.key], fraction)
            if news is None:
                finished += 1
                order.done(stage.key)
    if ready and not pool.alive:
        raise ReglError("every worker process was killed; run again with fewer workers")
    return failures, finished


def _report(failures: list[tuple[Stage, Failed]], count: int, finished: int) -> str:
    """A summary in one line, a line for each failure, and the tracebacks of defects."""
    lines = [f"{stage} failed: {failed.line}" for stage, failed in failures]
    summary = (
        f"{len(failures)} of {count} stages failed, {count - finished - len(failures)} were not "
        f"begun, {finished} are finished and kept; run again to go on from there"
    )
    return "\n".join([summary, *lines, *(failed.traceback for _, failed in failures)]).rstrip()


def closure(
    targets: Iterable[Stage], leave_out: Callable[[Stage], bool] = lambda stage: False
) -> dict[str, Stage]:
    """`targets` and all they need by key, needs first, without what only `leave_out` needs."""
    found: dict[str, Stage] = {}
    seen: set[str] = set()

    def visit(stage: Stage) -> None:
        if stage.key not in seen:
            seen.add(stage.key)
            if not leave_out(stage):
                for need in stage.inputs:
                    visit(need)
                found[stage.key] = stage

    for target in targets:
        visit(target)
    return found


def _bar(count: int, seconds: float, progress: bool) -> tqdm:
    # Its own would be a semaphore between processes, which after Ctrl-C is reported as leaked.
    tqdm.set_lock(RLock())
    return tqdm(
        desc=f"stages 0/{count}",
        total=seconds,
        disable=not progress,
        bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
        smoothing=0,  # the mean speed so far: stages differ too much for the last one to tell
        mininterval=0.2 if sys.stderr.isatty() else 5.0,  # seconds; a log keeps every line
        miniters=0,
    )
