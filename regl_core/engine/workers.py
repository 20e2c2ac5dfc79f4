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

from ..errors import Halt, ReglError
from ..system import heed, spawned
from .stage import Stage
from .store import Store

INTERVAL = 0.2  # least seconds between two messages about progress
PATIENCE = 10.0  # seconds for a process to end that is killed; a broken driver may hold it
ENVIRONMENT = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")},
    # glibc gives large arrays back to the system after each use and asks for them anew. Kept,
    # and on large pages, they make a stage about a twentieth faster.
    "GLIBC_TUNABLES": ":".join(
        f"glibc.malloc.{name}={value}"
        for name, value in {
            "hugetlb": 1,
            "mmap_threshold": 2**30,
            "trim_threshold": 2**32,
            "top_pad": 2**27,
        }.items()
    ),
}


@dataclass(frozen=True)
class Progress:
    """A fraction of a stage, 0 to 1, is done."""

    fraction: float


@dataclass(frozen=True)
class Finished:
    """A stage is in the store."""


@dataclass(frozen=True)
class Failed:
    """A stage failed: one line that says why, and the traceback where that is a defect.

    halts: whether any other stage would fail for the same reason. lost: whether any other would in
    this process, whose GPU does nothing more for it.
    """

    line: str
    traceback: str = ""
    halts: bool = False
    lost: bool = False


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

    One that is killed while it computes, or can use its GPU no more, is replaced. places: of each
    the one GPU that it sees, as CUDA_VISIBLE_DEVICES names it; None leaves that variable as it is.
    """

    store: Store
    places: Sequence[str | None]
    alive: list[Worker] = field(default_factory=list, init=False)

    def __enter__(self) -> "Workers":
        for place in self.places:
            self._add(place)
        return self

    def _add(self, place: str | None) -> None:
        sees = {} if place is None else {"CUDA_VISIBLE_DEVICES": place}
        with _environment(ENVIRONMENT | sees):
            self.alive.append(Worker(*spawned(_work, self.store.root), place))

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

    def news(self, seconds: float) -> Iterator[tuple[Stage, Progress | Finished | Failed]]:
        """What has happened to running stages; waits for it, but not longer than `seconds`."""
        ready = wait([worker.pipe for worker in self.alive], seconds)
        for worker in [worker for worker in self.alive if worker.pipe in ready]:
            stage = worker.stage
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                self.alive.remove(worker)
                message = self._death(worker)
                if stage is not None:  # else it could not even start, nor could the next
                    self._add(worker.place)
            if isinstance(message, Failed) and message.lost:
                # Idle at once, it would be given, and would fail, all that is ready.
                self._end(worker)
                self._add(worker.place)
            if not isinstance(message, Progress):
                worker.stage = None
            if stage is not None:
                yield stage, message

    def _end(self, worker: Worker) -> None:
        self.alive.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join(PATIENCE)

    def _death(self, worker: Worker) -> Failed:
        worker.process.join()
        code = worker.process.exitcode or 0
        cause = f"was killed by {_signal(-code)}" if code < 0 else f"ended with {code}"
        beside = ", ".join(map(str, self.running)) or "nothing"
        return Failed(
            f"its worker process {cause}; most often memory has run out: run again with fewer "
            f"workers than {len(self.places)} (running beside it: {beside})"
        )


def _signal(number: int) -> str:
    """Its name, or its number where it has none, as real-time signals."""
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _work(pipe: Connection, root: Path) -> None:
    """The life of a worker: compute what comes through `pipe` until that is closed."""
    heed(signal.SIG_IGN)  # the parent says what an interrupt means
    threading.Thread(target=_die_with_parent, daemon=True).start()
    # Not at the top: the parent imports this module without having to load torch.
    import torch

    torch.set_num_threads(1)
    store = Store(root)
    with suppress(EOFError, BrokenPipeError):
        while True:
            pipe.send(_attempt(pipe.recv_bytes(), store, pipe))


def _attempt(task: bytes, store: Store, pipe: Connection) -> Finished | Failed:
    last = 0.0

    def tick(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last >= INTERVAL:
            last = time.monotonic()
            pipe.send(Progress(fraction))

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
        line = traceback.format_exception_only(error)[-1].strip()
        if lost := _lost(error):
            line = (  # CUDA's errors go on with advice for programmers
                f"{line.splitlines()[0]}; after such an error nothing more can be computed on the "
                "GPU in the same process, so its worker process was replaced: run again, and if it "
                "comes again, have that GPU checked (nvidia-smi -q, dmesg)"
            )
        return Failed(line, traceback.format_exc(), lost=lost)
    return Finished()


def _lost(error: Exception) -> bool:
    """Whether this process can use its GPU no more, as after an illegal access or a fault in it.

    Libraries on top of CUDA say that in errors of their own, so the GPU itself is asked too.
    """
    import torch

    if isinstance(error, torch.AcceleratorError):
        return True
    try:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def _die_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Environment variables changed for processes started within the block."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
