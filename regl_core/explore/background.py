"""Computing stages while the kernel answers, one computation at a time, and the button for it."""

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Thread, main_thread
from typing import Any

import ipywidgets as widgets

from ..engine import Stage, Store, run_stages
from ..errors import ReglError


class Stopped(Exception):
    """Somebody pressed Stop, or the program ends."""


@dataclass
class Background:
    """What all buttons share: a store, and one thread, which waits for `workers` processes.

    what : is computed there, in words. stop : once set, that ends within a second or so; what is
    finished is kept.
    """

    store: Store
    workers: int | None
    what: str = ""
    thread: Thread = field(default_factory=Thread)
    stop: Event = field(default_factory=Event)

    def wait(self) -> None:
        """Wait for the end of what is computed, if anything is."""
        if self.thread.is_alive():
            self.thread.join()


class ComputeButton(widgets.VBox):
    """The buttons `go` and `stop` and a bar; `words` say how it stands, `refusal` why not.

    One that computes something has three methods. asked() gives what, in words and as stages;
    ReglError where it cannot be. refresh() shows what there is by now, from any thread. outcome()
    says what came of it, as HTML.
    """

    def __init__(self, background: Background, label: str, *beside: widgets.Widget) -> None:
        self.go = widgets.Button(description=label, icon="play", button_style="primary")
        self.go.layout.width = "220px"
        self.stop = widgets.Button(description="Stop", icon="stop", disabled=True)
        self.bar = widgets.FloatProgress(max=1.0, layout={"width": "200px", "visibility": "hidden"})
        self.words, self.refusal = widgets.HTML("&nbsp;"), widgets.HTML()
        self._background = background
        self.go.on_click(self._pressed)
        self.stop.on_click(lambda _: background.stop.set())
        row = widgets.HBox(
            [self.go, self.stop, *beside, self.bar], layout={"flex_flow": "row wrap"}
        )
        super().__init__([row, self.words, self.refusal])

    def _pressed(self, _: Any) -> None:
        """Have in the store, later, what is asked for; not while something else is computed."""
        shared = self._background
        try:
            if shared.thread.is_alive():
                raise ReglError(f"{shared.what} is still going on: wait for its end or press Stop")
            shared.what, stages = self.asked()
        except ReglError as error:
            self.refusal.value = complaint(error)
            return
        shared.stop.clear()
        self.refusal.value, self.bar.value = "", 0.0
        self.words.value = "Working: starting the worker processes …"
        self.stop.disabled, self.bar.layout.visibility = False, "visible"
        self.refresh()
        # A daemon: the program can end before the computation does.
        shared.thread = Thread(target=self._compute, args=(stages,), daemon=True, name="explore")
        shared.thread.start()

    def _compute(self, stages: Sequence[Stage]) -> None:
        shared, start = self._background, time.monotonic()

        def watch(fraction: float, running: str) -> None:
            if shared.stop.is_set() or not main_thread().is_alive():
                raise Stopped
            kinds, _, number = running.rpartition(" ")
            seconds = time.monotonic() - start
            self.words.value = f"Working: {kinds}, {number} stages done, {seconds:.0f} s"
            self.bar.value = fraction
            self.refresh()

        try:
            run_stages(stages, shared.store, shared.workers, progress=False, watch=watch)
            self.refresh()
            done = f"{self.outcome()} ({time.monotonic() - start:.0f} s)"
        except Exception as error:
            self.refresh()
            done = complaint(error)
        self.words.value, self.refusal.value = done, ""
        self.stop.disabled, self.bar.layout.visibility = True, "hidden"


def complaint(error: Exception) -> str:
    """An error as HTML that catches the eye: a ReglError's advice, any other's type and text."""
    if isinstance(error, Stopped):
        return "Stopped. What was finished is kept; press again to go on from there."
    text = str(error) if isinstance(error, ReglError) else f"{type(error).__name__}: {error}"
    return (
        '<div style="border-left: 4px solid #D55E00; padding: 2px 10px; white-space: pre-wrap; '
        f'line-height: 1.4">{html.escape(text)}</div>'
    )
