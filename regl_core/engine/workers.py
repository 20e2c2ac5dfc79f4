"""Worker processes, one thread each, that compute stages into a store.

Unlike in the standard library's process pool, the death of one worker leaves the others at
work, and it is known which stage died with it.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from tqdm import tqdm

from ..errors import Halt, ReglError
from ..system import heed, spawned
from .stage import Stage
from .store import Store

INTERVAL = 0.2  # least seconds between two messages about progress
ENVIRONMENT = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")},
    # glibc gives large arrays back to the system after each use and asks for them anew. Kept,
    # and on large pages, they make a stage about a twentieth faster.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:"
    "glibc.malloc.trim_threshold=4294967296:glibc.malloc.top_pad=134217728",
}


@dataclass(frozen=True)
class Failed:
    """A stage failed: one line that says why, and the traceback where that is a defect.

    halts: whether any other stage would fail for the same reason. ends: its process ends with it.
    """

    line: str
    traceback: str = ""
    halts: bool = False
    ends: bool = False


@dataclass
class Worker:
    """A process, the pipe to it, its GPU if it has one and the stage it computes."""

    process: BaseProcess
    pipe: Connection
    place: str | None
    stage: Stage | None = None


@dataclass
class Workers:
    """A process for each of `places` within a ``with`` block; an error that leaves it kills them.

    One that is killed while it computes, or meets a defect, is replaced. places: of each the one
    GPU that it sees, as CUDA_VISIBLE_DEVICES names it; None leaves that variable as it is.
    """

    store: Store
    places: Sequence[str | None]
    alive: list[Worker] = field(default_factory=list, init=False)

    def __enter__(self) -> "Workers":
        for place in self.places:
            self._add(place)
        return self

    def _add(self, place: str | None) -> None:
        own = ENVIRONMENT | ({} if place is None else {"CUDA_VISIBLE_DEVICES": place})
        with _environment(ENVIRONMENT):
            process = spawned(_work, self.store.root, {**os.environ, **own})
        self.alive.append(Worker(*process, place))

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        for worker in self.alive:
            worker.pipe.close()
            if kind is not None:
                worker.process.kill()
        for worker in self.alive:
            worker.process.join()

    @property
    def idle(self) -> list[Worker]:
        """Workers that could take a stage."""
        return [worker for worker in self.alive if worker.stage is None]

    @property
    def running(self) -> list[Stage]:
        """Stages being computed."""
        return [worker.stage for worker in self.alive if worker.stage is not None]

    def start(self, stage: Stage) -> None:
        """Give `stage` to an idle worker."""
        worker = self.idle[0]
        worker.stage = stage
        with suppress(BrokenPipeError):  # it is dead, which `news` will tell
            worker.pipe.send((stage, stage.key))

    def news(self, seconds: float) -> Iterator[tuple[Stage, float | Failed | None]]:
        """Of running stages the share done, None at the end, or why they failed.

        Waits for it, but not longer than `seconds`.
        """
        ready = wait([worker.pipe for worker in self.alive], seconds)
        for worker in [worker for worker in self.alive if worker.pipe in ready]:
            stage = worker.stage
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                message = self._death(worker)
            if not isinstance(message, float):
                worker.stage = None
            if isinstance(message, Failed) and message.ends:
                self.alive.remove(worker)
                worker.pipe.close()
                worker.process.kill()  # and not waited for: a broken driver may hold it
                if stage is not None:  # else it could not even start, nor could the next
                    self._add(worker.place)
            if stage is not None:
                yield stage, message

    def _death(self, worker: Worker) -> Failed:
        worker.process.join()
        code = worker.process.exitcode or 0
        names = {it.value: it.name for it in signal.Signals}
        cause = f"was killed by {names.get(-code, -code)}" if code < 0 else f"ended with {code}"
        others = [str(it.stage) for it in self.alive if it.stage and it is not worker]
        line = (
            f"its worker process {cause}; most often memory has run out: run again with fewer "
            f"workers than {len(self.places)} (running beside it: {', '.join(others) or 'nothing'})"
        )
        return Failed(line, ends=True)


def _work(pipe: Connection, root: Path, variables: dict[str, str]) -> None:
    """The life of a worker: compute what comes through `pipe` until that is closed."""
    heed(signal.SIG_IGN)  # the parent says what an interrupt means
    os.environ.clear()
    os.environ.update(variables)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    # Where a library draws a bar, its own lock would be a semaphore, reported as leaked if killed.
    tqdm.set_lock(threading.RLock())
    store = Store(root)
    with suppress(EOFError, BrokenPipeError):
        while True:
            pipe.send(_attempt(pipe.recv_bytes(), store, pipe))


def _attempt(task: bytes, store: Store, pipe: Connection) -> Failed | None:
    last = 0.0

    def tick(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last >= INTERVAL:
            last = time.monotonic()
            pipe.send(float(fraction))

    try:
        stage, key = pickle.loads(task)
        if stage.key != key:
            raise Halt(
                "the code or a library was changed after this program had started; start it again "
                "(in a notebook: restart the kernel)"
            )
        store.ensure(stage, tick)
    except ReglError as error:
        return Failed(str(error), halts=isinstance(error, Halt))
    except Exception as error:
        # After an illegal access a process can use its GPU no more, whichever library says so.
        # Idle, it would be given, and would fail, all that is ready: it ends.
        line = traceback.format_exception_only(error)[-1].strip().splitlines()[0]
        return Failed(line, traceback.format_exc(), ends=True)
    return None


def _die_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Environment variables changed for processes started within the block."""
    before = {name: os.environ[name] for name in changes if name in os.environ}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
