"""The sliders, and the partition they make."""

import math
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np

from ..errors import ReglError
from ..partition import Parts, counts
from . import pictures
from .choice import Choice, betas
from .computing import complaint
from .setup import Setup

MOST = 20  # clients on the slider, and images that each has at least


class Skew(widgets.VBox):
    """Sliders over a picture of the partition, drawn anew with each move.

    parts: each client's training images, and counts, int (clients, classes); both None where the
    partition cannot be made, and words then says why.
    """

    def __init__(self, setup: Setup) -> None:
        settings, its = setup.settings, setup.settings.datasets[setup.name]
        stops = [(f"{beta:g}", beta) for beta in betas(settings.betas)]
        wide = {"style": {"description_width": "110px"}, "layout": {"width": "340px"}}
        self.beta = widgets.SelectionSlider(
            options=[*stops, ("IID", math.inf)], value=settings.betas[0], description="β", **wide
        )
        self.clients = widgets.IntSlider(
            its.clients, 2, max(MOST, its.clients), description="clients", **wide
        )
        self.at_least = widgets.IntSlider(0, 0, MOST, description="images at least", **wide)
        self.seed = widgets.BoundedIntText(settings.seeds[0], 0, 10**6, description="seed", **wide)
        self.client = widgets.IntSlider(0, 0, its.clients - 1, description="look at client", **wide)
        self.words = widgets.HTML()
        self.picture = widgets.Image(format="png", layout={"width": "100%", "max_width": "1040px"})
        self.parts: Parts | None = None
        self.counts: np.ndarray | None = None
        self._setup, self._shown = setup, None
        self._others: list[Callable[[], None]] = []
        controls = (self.beta, self.clients, self.seed, self.at_least, self.client)
        for control in controls:
            control.observe(self._moved, "value")
        box = widgets.HBox(controls, layout={"flex_flow": "row wrap"})
        super().__init__([box, self.words, self.picture])
        self._moved()

    @property
    def choice(self) -> Choice:
        """What the sliders say."""
        iid = math.isinf(self.beta.value)
        return Choice(
            beta=None if iid else self.beta.value,
            clients=self.clients.value,
            at_least=0 if iid else self.at_least.value,
            seed=self.seed.value,
        )

    def follow(self, other: Callable[[], None]) -> None:
        """Have `other` called after each change of the partition or the client looked at."""
        self._others.append(other)

    def _moved(self, _: Any = None) -> None:
        self.client.max = self.clients.value - 1  # this may move it, and get here first
        self.at_least.disabled = math.isinf(self.beta.value)
        choice, client = self.choice, self.client.value
        if self._shown != (choice, client):
            self._shown = choice, client
            self._draw(choice, client)
            for other in self._others:
                other()

    def _draw(self, choice: Choice, client: int) -> None:
        dataset = self._setup.dataset
        names = dataset.classes
        try:
            self.parts = choice.partition.split(dataset.train.labels, len(names), choice.seed)
        except ReglError as error:
            self.parts = self.counts = None
            self.words.value = complaint(error)
            self.picture.layout.visibility = "hidden"  # its place stays, and nothing jumps
            return
        self.counts = counts(dataset.train.labels, self.parts, len(names)).numpy()
        self.words.value = _summary(self.counts)
        self.picture.value = pictures.partition(self.counts, names, client, self._setup.drawn)
        self.picture.layout.visibility = "visible"


def _summary(counts: np.ndarray) -> str:
    sizes, lacking = counts.sum(axis=1), (counts == 0).sum(axis=1)
    return (
        f"{sizes.sum()} real images. The largest client owns {sizes.max()}, the smallest "
        f"{sizes.min()}. Of {counts.shape[1]} classes a client lacks {lacking.mean():.1f} on "
        "average."
    )
