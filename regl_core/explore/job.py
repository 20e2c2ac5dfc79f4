"""Computing stages in the background, one computation at a time, while the kernel answers."""

import threading
from collections.abc import Sequence
from typing import Protocol

from ..engine.runner import run_stages
from ..engine.stage import Stage
from ..engine.store import Store
from ..errors import ReglError


class Stopped(Exception):
    """Somebody pressed Stop, or the program ends."""


class Onlooker(Protocol):
    """Who asked for a computation and hears of it: `begun` once, `watched` often, `ended` once."""

    def begun(self) -> None:
        """It is going to be computed; called by `Job.start` itself."""

    def watched(self, fraction: float, running: str) -> None:
        """At least once a second, from another thread: the share done, and what is running."""

    def ended(self, error: Exception | None) -> None:
        """From another thread: all is in the store, or why it is not."""


class Job:
    """Runs `run_stages` in a thread, which waits for worker processes and computes nothing."""

    def __init__(self, store: Store, workers: int | None) -> None:
        self.store, self._workers = store, workers
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._what = ""

    @property
    def busy(self) -> bool:
        """Whether something is being computed."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, what: str, stages: Sequence[Stage], onlooker: Onlooker) -> None:
        """Have `stages` in the store, later. `what` names it in words.

        Raises
        ------
        ReglError
            When something is being computed already. That goes on, and `onlooker` hears nothing.
        """
        with self._guard:
            if self.busy:
                raise ReglError(f"{self._what} is still going on: wait for its end or press Stop")
            self._what, self._error = what, None
            self._stop.clear()
            onlooker.begun()
            # A daemon: the program can end before the computation does.
            self._thread = threading.Thread(
                target=self._run, args=(tuple(stages), onlooker), daemon=True, name="explore"
            )
            self._thread.start()

    def stop(self) -> None:
        """End what is being computed, within a second or so. What is finished is kept."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the end. What went wrong is raised here too, a stop is not."""
        if self._thread is not None:
            self._thread.join(seconds)
        if self._error is not None and not isinstance(self._error, Stopped):
            raise self._error

    def _run(self, stages: tuple[Stage, ...], onlooker: Onlooker) -> None:
        def watch(fraction: float, running: str) -> None:
            if self._stop.is_set() or not threading.main_thread().is_alive():
                raise Stopped
            onlooker.watched(fraction, running)

        try:
            run_stages(stages, self.store, self._workers, progress=False, watch=watch)
        except Exception as error:
            self._error = error
        onlooker.ended(self._error)
