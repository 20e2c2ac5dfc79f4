"""The sliders, and the partition they make."""

import math
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np

from ..params import Settings
from ..partition import IID, Dirichlet, Parts, counts
from ..pipeline import Pipeline
from ..report import spoken
from . import pictures

# About evenly spaced on a logarithmic scale, with the paper's values among them.
BETAS = (
    *(0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0),
)
MOST = 20  # clients on the slider


class Skew(widgets.VBox):
    """Sliders over a picture of the partition of a data set, drawn anew with each move.

    parts: each client's training images, and counts, int (clients, classes).
    """

    parts: Parts
    counts: np.ndarray

    def __init__(self, settings: Settings, pipeline: Pipeline) -> None:
        """Loads the first data set of `settings`. ReglError where it cannot be loaded."""
        self.settings, self.name = settings, next(iter(settings.datasets))
        _, self.dataset = pipeline.source(self.name, settings)
        its = settings.datasets[self.name]
        stops = [(f"{beta:g}", beta) for beta in sorted({*BETAS, *settings.betas})]
        wide = {"style": {"description_width": "110px"}, "layout": {"width": "340px"}}
        self.beta = widgets.SelectionSlider(
            options=[*stops, ("IID", math.inf)], value=settings.betas[0], description="β", **wide
        )
        self.clients = widgets.IntSlider(
            its.clients, 2, max(MOST, its.clients), description="clients", **wide
        )
        self.seed = widgets.BoundedIntText(settings.seeds[0], 0, 10**6, description="seed", **wide)
        self.client = widgets.IntSlider(0, 0, its.clients - 1, description="look at client", **wide)
        self.words = widgets.HTML()
        self.picture = widgets.Image(format="png", layout={"width": "100%", "max_width": "1040px"})
        self._drawn: tuple[str, int] | None = None
        self._others: list[Callable[[], None]] = []
        controls = (self.beta, self.clients, self.seed, self.client)
        for control in controls:
            control.observe(self._moved, "value")
        box = widgets.HBox(controls, layout={"flex_flow": "row wrap"})
        super().__init__([box, self.words, self.picture])
        self._moved()

    @property
    def partition(self) -> Dirichlet | IID:
        """What the sliders say, as tables and runs name it."""
        clients, beta = self.clients.value, self.beta.value
        return IID(clients=clients) if math.isinf(beta) else Dirichlet(beta=beta, clients=clients)

    @property
    def told(self) -> str:
        """The partition and its seed, in words."""
        clients, seed = self.clients.value, self.seed.value
        return f"{spoken(self.partition.setting)}, {clients} clients, seed {seed}"

    def follow(self, other: Callable[[], None]) -> None:
        """Have `other` called after each change of the partition or the client looked at."""
        self._others.append(other)

    def _moved(self, _: Any = None) -> None:
        self.client.max = self.clients.value - 1  # this may move it, and get here first
        now = self.told, self.client.value
        if self._drawn != now:
            self._drawn = now
            self._draw()
            for other in self._others:
                other()

    def _draw(self) -> None:
        labels, names = self.dataset.train.labels, self.dataset.classes
        self.parts = self.partition.split(labels, len(names), self.seed.value)
        self.counts = counts(labels, self.parts, len(names)).numpy()
        sizes, lacking = self.counts.sum(axis=1), (self.counts == 0).sum(axis=1)
        self.words.value = (
            f"{sizes.sum()} real images. The largest client owns {sizes.max()}, the smallest "
            f"{sizes.min()}. Of {len(names)} classes a client lacks {lacking.mean():.1f} on "
            "average."
        )
        added = self.settings.datasets[self.name].synthetic_per_class
        self.picture.value = pictures.ownership(self.counts, names, self.client.value, added)
