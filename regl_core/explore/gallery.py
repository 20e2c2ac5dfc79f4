"""Real images of a class beside those that a client drew of it, as the model is and tuned."""

import html
import threading
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import torch

from ..pipeline import Synthetic
from ..stages.vanilla_images import Vanilla, load_images
from . import mosaic
from .computing import Computing
from .setup import Setup
from .skew import Skew


class Gallery(Computing):
    """Three rows of images of one class, of the client that the sliders look at.

    whose: whether the real ones are the client's own or all. shown: what is to be seen, by row,
    uint8 (n, 3, side, side) of any n; none where the images are not drawn yet.
    """

    def __init__(self, setup: Setup, skew: Skew) -> None:
        names = setup.dataset.classes
        options = [(name, k) for k, name in enumerate(names)]
        self.of_class = widgets.Dropdown(options=options, description="class")
        self.of_class.layout.width = "220px"
        self.whose = widgets.Dropdown(
            options=["of this client", "of all clients"], description="real images"
        )
        self.rows = {row: (widgets.HTML(), _strip()) for row in ("real", "TF", "FT")}
        self.shown: dict[str, torch.Tensor] = {}
        self._setup, self._skew, self._guard = setup, skew, threading.Lock()
        super().__init__(setup.job, "Draw this client's images")
        choosing = widgets.HBox(
            [self.of_class, self.whose], layout={"flex_flow": "row wrap", "margin": "6px 0"}
        )
        lines = [part for row in self.rows.values() for part in row]
        self.children = (choosing, *self.children, *lines)
        self.of_class.observe(self._chosen, "value")
        self.whose.observe(self._chosen, "value")
        skew.follow(self.look)
        self.look()

    def asked(self) -> tuple[str, Sequence[Synthetic]]:
        # Split once more: where the partition cannot be made, this says why.
        choice, dataset = self._skew.choice, self._setup.dataset
        choice.partition.split(dataset.train.labels, len(dataset.classes), choice.seed)
        client = self._skew.client.value
        return f"Drawing for client {client} ({choice})", self._stages()

    def look(self) -> None:
        with self._guard:
            if self._skew.parts is not None:
                self._show(*self._stages())

    def outcome(self) -> str:
        return "Drawn. Choose any class; nothing has to be drawn anew for it."

    def _stages(self) -> tuple[Vanilla, Synthetic]:
        """The first piece of both kinds that the runs of its partition draw for the client."""
        setup, seed = self._setup, self._skew.choice.seed
        parts = [part.tolist() for part in self._skew.parts]
        free, tuned = (
            setup.pipeline.clients(kind, setup.name, parts, setup.settings, seed)
            for kind in ("vanilla", "lora")
        )
        client = self._skew.client.value
        return free[client][0], tuned[client][0]

    def _show(self, free: Vanilla, tuned: Synthetic) -> None:
        k, client, store = self.of_class.value, self._skew.client.value, self._setup.job.store
        train, name = self._setup.dataset.train, html.escape(self._setup.dataset.classes[k])
        own = train.subset(self._skew.parts[client])
        mine = self.whose.value == "of this client"
        chosen = own if mine else train
        who = f"client {client}" if mine else "all clients together"
        real = chosen.images[chosen.labels == k]
        tuning = f"drawn by the model tuned on the {len(own)} images of client {client}"
        if not len(own):
            tuning = f"client {client} owns no image to tune on and draws with the model as it is"
        elif not (own.labels == k).any():
            tuning += f", none of them of <i>{name}</i>"
        self.shown = {"real": real}
        self._fill("real", f"<b>real</b>: {who} has {len(real)} of <i>{name}</i>", real)
        for row, stage, how in (
            ("TF", free, "drawn by the model as it is"),
            ("FT", tuned, tuning),
        ):
            images = load_images(store.path(stage))[k] if store.has(stage) else None
            if images is None:
                how += " – not yet: press the button"
            else:
                self.shown[row] = images
            self._fill(row, f"<b>{row}</b>: {how}", images)

    def _fill(self, row: str, words: str, images: torch.Tensor | None) -> None:
        label, strip = self.rows[row]
        label.value = words
        some = images is not None and len(images) > 0
        if some:
            strip.value = mosaic.row(images)
        strip.layout.visibility = "visible" if some else "hidden"

    def _chosen(self, _: Any) -> None:
        self.look()


def _strip() -> widgets.Image:
    height = f"{mosaic.SIDE}px"
    return widgets.Image(format="png", layout={"height": height, "align_self": "flex-start"})
