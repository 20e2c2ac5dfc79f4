"""FedAvg against ReGL on the partition of the sliders, with curves that grow as it runs."""

import json
from collections.abc import Sequence

import ipywidgets as widgets

from ..pipeline import Pipeline
from ..runs import Result, Run
from ..stages import Trained
from . import pictures
from .background import Background, ComputeButton
from .skew import Skew

METHODS = ("FedAvg", "ReGL (TF)", "ReGL (FT)")


class Race(ComputeButton):
    """A button that runs the methods, and their curves.

    curves: by method the test accuracy in % after each round so far. tuned: whether the slower
    ReGL (FT) runs too.
    """

    def __init__(self, skew: Skew, pipeline: Pipeline, background: Background) -> None:
        self.tuned = widgets.Checkbox(description="with ReGL (FT) too: slower", indent=False)
        self.tuned.layout.width = "230px"
        self.picture = widgets.Image(format="png", layout={"width": "100%", "max_width": "720px"})
        self.curves: dict[str, tuple[float, ...]] = dict.fromkeys(METHODS[:2], ())
        self._skew, self._pipeline = skew, pipeline
        self._runs: dict[str, tuple[Run, Trained]] = {}
        self._title = "press the button to run"
        super().__init__(background, "Run FedAvg and ReGL", self.tuned)
        self.children += (self.picture,)
        self._draw()

    def asked(self) -> tuple[str, Sequence[Trained]]:
        skew = self._skew
        runs = {
            method: Run(
                dataset=skew.name,
                partition=skew.partition,
                method=method,
                seed=skew.seed.value,
                settings=skew.settings,
            )
            for method in METHODS[: 3 if self.tuned.value else 2]
        }
        stages = {method: run.stage(self._pipeline) for method, run in runs.items()}
        self._runs = {method: (run, stages[method]) for method, run in runs.items()}
        self._title = f"{skew.name}, {skew.told}"
        self.curves = dict.fromkeys(runs, ())
        self._draw()
        return f"The run of {', '.join(runs)} ({skew.told})", list(stages.values())

    def refresh(self) -> None:
        before = dict(self.curves)
        for method, (_, stage) in self._runs.items():
            curve = json.loads(self._background.store.glimpse(stage, "accuracy.json") or "[]")
            if len(curve) > len(self.curves[method]):
                self.curves[method] = tuple(curve)
        if self.curves != before:
            self._draw()

    def outcome(self) -> str:
        first, *others = [Result(run, self.curves[it]) for it, (run, _) in self._runs.items()]
        told = [f"{first.run.method} {first.accuracy_pct:.1f} %"]
        told += [
            f"{it.run.method} {it.accuracy_pct:.1f} % "
            f"({it.accuracy_pct - first.accuracy_pct:+.1f} points)"
            for it in others
        ]
        return f"<b>{'; '.join(told)}</b>: {first.measure}."

    def _draw(self) -> None:
        rounds = self._skew.settings.training.rounds
        self.picture.value = pictures.curves(self.curves, rounds, self._title)
