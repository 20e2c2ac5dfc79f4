"""FedAvg against ReGL on the partition of the sliders, with curves that grow as it runs."""

import json
from collections.abc import Sequence

import ipywidgets as widgets
import pandas as pd

from ..runs import Result, Run
from ..stages.trained import Trained
from . import pictures
from .computing import Computing
from .setup import Setup
from .skew import Skew

METHODS = ("FedAvg", "ReGL (TF)", "ReGL (FT)")


class Race(Computing):
    """A button that runs the methods, and their curves.

    curves: by method the test accuracy in % after each round so far. tuned: whether the slower
    ReGL (FT) runs too.
    """

    def __init__(self, setup: Setup, skew: Skew) -> None:
        self.tuned = widgets.Checkbox(description="with ReGL (FT) too: slower", indent=False)
        self.tuned.layout.width = "230px"
        self.picture = widgets.Image(format="png", layout={"width": "100%", "max_width": "720px"})
        self.curves: dict[str, tuple[float, ...]] = dict.fromkeys(METHODS[:2], ())
        self._setup, self._skew = setup, skew
        self._runs: dict[str, Run] = {}
        self._stages: dict[str, Trained] = {}
        self._title, self._next = "press the button to run", None
        super().__init__(setup.job, "Run FedAvg and ReGL", self.tuned)
        self.children += (self.picture,)
        self._draw()

    @property
    def rounds(self) -> int:
        """Rounds that a curve has in the end."""
        return self._setup.settings.training.rounds

    def table(self) -> pd.DataFrame:
        """`curves`, a row per round."""
        series = {
            method: pd.Series(curve, range(1, len(curve) + 1), dtype=float)
            for method, curve in self.curves.items()
        }
        return pd.DataFrame(series).rename_axis(index="round", columns="test accuracy (%)")

    def asked(self) -> tuple[str, Sequence[Trained]]:
        choice, setup = self._skew.choice, self._setup
        runs = {
            method: Run(
                dataset=setup.name,
                partition=choice.partition,
                method=method,
                seed=choice.seed,
                settings=setup.settings,
            )
            for method in METHODS[: 3 if self.tuned.value else 2]
        }
        stages = {method: run.stage(setup.pipeline) for method, run in runs.items()}
        self._next = f"{setup.name}, {choice}", runs, stages
        return f"The run of {', '.join(runs)} ({choice})", list(stages.values())

    def begun(self) -> None:
        self._title, self._runs, self._stages = self._next
        self.curves = dict.fromkeys(self._runs, ())
        self._draw()
        super().begun()

    def look(self) -> None:
        before = dict(self.curves)
        for method, stage in self._stages.items():
            curve = json.loads(self._setup.job.store.glimpse(stage, "accuracy.json") or "[]")
            if len(curve) > len(self.curves[method]):
                self.curves[method] = tuple(curve)
        if self.curves != before:
            self._draw()

    def outcome(self) -> str:
        results = [Result(run, self.curves[method]) for method, run in self._runs.items()]
        first, *others = results
        told = [f"{first.run.method} {first.accuracy_pct:.1f} %"]
        told += [
            f"{it.run.method} {it.accuracy_pct:.1f} % "
            f"({it.accuracy_pct - first.accuracy_pct:+.1f} points)"
            for it in others
        ]
        return f"<b>{'; '.join(told)}</b>: {first.measure}."

    def _draw(self) -> None:
        self.picture.value = pictures.race(self.curves, self.rounds, self._title)
