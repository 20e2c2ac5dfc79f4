"""A button that has something computed, and what goes with it."""

import html
import time
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets

from ..engine.stage import Stage
from ..errors import ReglError
from .job import Job, Stopped


class Computing(widgets.VBox):
    """The buttons `go` and `stop` and a bar; `words` say how it stands, `refusal` why not.

    One `Job` serves all buttons; while it is busy a click is refused, in words.
    """

    def __init__(self, job: Job, label: str, *beside: widgets.Widget) -> None:
        self.go = widgets.Button(description=label, icon="play", button_style="primary")
        self.go.layout.width = "220px"
        self.stop = widgets.Button(description="Stop", icon="stop", disabled=True)
        self.bar = widgets.FloatProgress(max=1.0, layout={"width": "200px", "visibility": "hidden"})
        self.words, self.refusal = widgets.HTML("&nbsp;"), widgets.HTML()
        self._job, self._begun = job, 0.0
        self.go.on_click(self._pressed)
        self.stop.on_click(lambda _: job.stop())
        row = widgets.HBox(
            [self.go, self.stop, *beside, self.bar], layout={"flex_flow": "row wrap"}
        )
        super().__init__([row, self.words, self.refusal])

    def asked(self) -> tuple[str, Sequence[Stage]]:
        """What the button asks for, in words and as stages. ReglError where it cannot be."""
        raise NotImplementedError

    def look(self) -> None:
        """Show what there is by now; from any thread."""
        raise NotImplementedError

    def outcome(self) -> str:
        """What came of it, as HTML."""
        raise NotImplementedError

    def begun(self) -> None:
        self._begun = time.monotonic()
        self.refusal.value, self.bar.value = "", 0.0
        self.words.value = "Working: starting the worker processes …"
        self.stop.disabled, self.bar.layout.visibility = False, "visible"
        self.look()

    def watched(self, fraction: float, running: str) -> None:
        self.bar.value = fraction
        kinds, _, number = running.rpartition(" ")
        self.words.value = f"Working: {kinds}, {number} stages done, {self._seconds():.0f} s"
        self.look()

    def ended(self, error: Exception | None) -> None:
        self.look()
        if error is None:
            self.words.value = f"{self.outcome()} ({self._seconds():.0f} s)"
        else:
            self.words.value = complaint(error)
        self.refusal.value = ""
        self.stop.disabled, self.bar.layout.visibility = True, "hidden"

    def _seconds(self) -> float:
        return time.monotonic() - self._begun

    def _pressed(self, _: Any) -> None:
        try:
            what, stages = self.asked()
            self._job.start(what, stages, self)
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
