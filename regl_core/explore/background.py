"""Computing stages while the kernel answers, one computation at a time, and the button for it."""

import html
import threading
import time
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets

from ..engine import Stage, Store, run_stages
from ..errors import ReglError


class Stopped(Exception):
    """Somebody pressed Stop, or the program ends."""


class Background:
    """Runs `run_stages` in a thread, which waits for worker processes and computes nothing."""

    def __init__(self, store: Store, workers: int | None) -> None:
        self.store, self._workers = store, workers
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._what, self._error = "", None

    @property
    def busy(self) -> bool:
        """Whether something is being computed."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, button: "ComputeButton") -> None:
        """Have in the store, later, what `button` asks for.

        Raises ReglError where that cannot be, or while something else is computed, which goes on.
        """
        if self.busy:
            raise ReglError(f"{self._what} is still going on: wait for its end or press Stop")
        self._what, stages = button.asked()
        self._error = None
        self._stop.clear()
        button.begun()
        # A daemon: the program can end before the computation does.
        self._thread = threading.Thread(
            target=self._run, args=(stages, button), daemon=True, name="explore"
        )
        self._thread.start()

    def stop(self) -> None:
        """End what is being computed, within a second or so. What is finished is kept."""
        self._stop.set()

    def wait(self) -> None:
        """Wait for the end. What went wrong is raised here too, a stop is not."""
        if self._thread is not None:
            self._thread.join()
        if self._error is not None and not isinstance(self._error, Stopped):
            raise self._error

    def _run(self, stages: Sequence[Stage], button: "ComputeButton") -> None:
        def watch(fraction: float, running: str) -> None:
            if self._stop.is_set() or not threading.main_thread().is_alive():
                raise Stopped
            button.watched(fraction, running)

        try:
            run_stages(stages, self.store, self._workers, progress=False, watch=watch)
        except Exception as error:
            self._error = error
        button.ended(self._error)


class ComputeButton(widgets.VBox):
    """The buttons `go` and `stop` and a bar; `words` say how it stands, `refusal` why not."""

    def __init__(self, background: Background, label: str, *beside: widgets.Widget) -> None:
        self.go = widgets.Button(description=label, icon="play", button_style="primary")
        self.go.layout.width = "220px"
        self.stop = widgets.Button(description="Stop", icon="stop", disabled=True)
        self.bar = widgets.FloatProgress(max=1.0, layout={"width": "200px", "visibility": "hidden"})
        self.words, self.refusal = widgets.HTML("&nbsp;"), widgets.HTML()
        self._background, self._start = background, 0.0
        self.go.on_click(self._pressed)
        self.stop.on_click(lambda _: background.stop())
        row = widgets.HBox(
            [self.go, self.stop, *beside, self.bar], layout={"flex_flow": "row wrap"}
        )
        super().__init__([row, self.words, self.refusal])

    def asked(self) -> tuple[str, Sequence[Stage]]:
        """What is to be computed now, in words and as stages. ReglError where it cannot be."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Show what there is by now; from any thread."""
        raise NotImplementedError

    def outcome(self) -> str:
        """What came of it, as HTML."""
        raise NotImplementedError

    def begun(self) -> None:
        """It is going to be computed."""
        self._start = time.monotonic()
        self.refusal.value, self.bar.value = "", 0.0
        self.words.value = "Working: starting the worker processes …"
        self.stop.disabled, self.bar.layout.visibility = False, "visible"
        self.refresh()

    def watched(self, fraction: float, running: str) -> None:
        """At least once a second, from another thread: the share done, and what is running."""
        self.bar.value = fraction
        kinds, _, number = running.rpartition(" ")
        self.words.value = f"Working: {kinds}, {number} stages done, {self._seconds():.0f} s"
        self.refresh()

    def ended(self, error: Exception | None) -> None:
        """From another thread: all is in the store, or why it is not."""
        self.refresh()
        done = complaint(error) if error else f"{self.outcome()} ({self._seconds():.0f} s)"
        self.words.value, self.refusal.value = done, ""
        self.stop.disabled, self.bar.layout.visibility = True, "hidden"

    def _seconds(self) -> float:
        return time.monotonic() - self._start

    def _pressed(self, _: Any) -> None:
        try:
            self._background.start(self)
        except ReglError as error:
            self.refusal.value = complaint(error)


def complaint(error: Exception) -> str:
    """An error as HTML that catches the eye: a ReglError's advice, any other's type and text."""
    if isinstance(error, Stopped):
        return "Stopped. What was finished is kept; press again to go on from there."
    text = str(error) if isinstance(error, ReglError) else f"{type(error).__name__}: {error}"
    return (
        '<div style="border-left: 4px solid #D55E00; padding: 2px 10px; white-space: pre-wrap; '
        f'line-height: 1.4">{html.escape(text)}</div>'
    )
