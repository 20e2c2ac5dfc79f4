"""Real images of a class beside those that a client drew of it, as the model is and tuned."""

import html
import threading
from collections.abc import Sequence

import ipywidgets as widgets
from torch import Tensor

from ..pipeline import Pipeline, Synthetic
from ..stages import Vanilla, load_images
from . import pictures
from .background import Background, ComputeButton
from .skew import Skew


class Samples(ComputeButton):
    """Three rows of images of one class, of the client that the sliders look at.

    whose: whether the real ones are the client's own or all. shown: what is to be seen, by row,
    uint8 (n, 3, side, side) of any n; none where the images are not drawn yet.
    """

    def __init__(self, skew: Skew, pipeline: Pipeline, background: Background) -> None:
        options = [(name, k) for k, name in enumerate(skew.dataset.classes)]
        self.of_class = widgets.Dropdown(options=options, description="class")
        self.of_class.layout.width = "220px"
        self.whose = widgets.Dropdown(
            options=["of this client", "of all clients"], description="real images"
        )
        high = {"height": f"{pictures.SIDE}px", "align_self": "flex-start"}
        self.rows = {
            row: (widgets.HTML(), widgets.Image(format="png", layout=high))
            for row in ("real", "TF", "FT")
        }
        self.shown: dict[str, Tensor] = {}
        self._skew, self._pipeline, self._guard = skew, pipeline, threading.Lock()
        super().__init__(background, "Draw this client's images")
        choosing = widgets.HBox(
            [self.of_class, self.whose], layout={"flex_flow": "row wrap", "margin": "6px 0"}
        )
        lines = [part for row in self.rows.values() for part in row]
        self.children = (choosing, *self.children, *lines)
        for control in (self.of_class, self.whose):
            control.observe(lambda _: self.refresh(), "value")
        skew.follow(self.refresh)
        self.refresh()

    def asked(self) -> tuple[str, Sequence[Synthetic]]:
        return f"Drawing for client {self._skew.client.value} ({self._skew.told})", self.stages()

    def refresh(self) -> None:
        with self._guard:
            self._show(*self.stages())

    def outcome(self) -> str:
        return "Drawn. Choose any class; nothing has to be drawn anew for it."

    def stages(self) -> tuple[Vanilla, Synthetic]:
        """The first piece of both kinds that the runs of its partition draw for the client."""
        skew, parts = self._skew, [part.tolist() for part in self._skew.parts]
        free, tuned = (
            self._pipeline.synthetic(kind, skew.name, parts, skew.settings, skew.seed.value)
            for kind in ("vanilla", "lora")
        )
        client = skew.client.value
        return free[client][0], tuned[client][0]

    def _show(self, free: Vanilla, tuned: Synthetic) -> None:
        k, client, store = self.of_class.value, self._skew.client.value, self._background.store
        train, name = self._skew.dataset.train, html.escape(self._skew.dataset.classes[k])
        own = train.subset(self._skew.parts[client])
        mine = self.whose.value == "of this client"
        chosen, who = (own, f"client {client}") if mine else (train, "all clients together")
        real = chosen.images[chosen.labels == k]
        tuning = f"drawn by the model tuned on the {len(own)} images of client {client}"
        if not len(own):
            tuning = f"client {client} owns no image to tune on and draws with the model as it is"
        elif not (own.labels == k).any():
            tuning += f", none of them of <i>{name}</i>"
        found = {"real": (f"{who} has {len(real)} of <i>{name}</i>", real)}
        for row, stage, how in (
            ("TF", free, "drawn by the model as it is"),
            ("FT", tuned, tuning),
        ):
            there = store.has(stage)
            images = load_images(store.path(stage))[k] if there else None
            found[row] = how if there else f"{how} – not yet: press the button", images
        self.shown = {row: images for row, (_, images) in found.items() if images is not None}
        for row, (words, images) in found.items():
            label, strip = self.rows[row]
            label.value = f"<b>{row}</b>: {words}"
            some = images is not None and len(images) > 0
            if some:
                strip.value = pictures.strip(images)
            strip.layout.visibility = "visible" if some else "hidden"
