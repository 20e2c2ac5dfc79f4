"""From settings to stages: which computation each number needs, and what it shares."""

from collections.abc import Sequence
from pathlib import Path

import torch

from . import sources
from .data import PACKED, Dataset
from .datasets.base import Loader
from .datasets.registry import find
from .params import Settings
from .stages.described import Described
from .stages.inputs import Models, Source
from .stages.tailored import Tailored
from .stages.tuned import Tuned
from .stages.vanilla import Vanilla

Synthetic = Vanilla | Tailored


class Pipeline:
    """Builds stages. Data sets and digests are read once in its lifetime, and nothing is run."""

    def __init__(self, packed: Path = PACKED) -> None:
        """packed : as for `data.load`."""
        self._packed = packed
        self._data: dict[Loader, tuple[Source, Dataset]] = {}
        self._models: dict[str, Models] = {}

    def source(self, name: str, settings: Settings) -> tuple[Source, Dataset]:
        """The data set `name`, as stages name it and as it is."""
        # What loading does not read: data sets that differ in nothing else are read once.
        unread = {"clients": 1, "synthetic_per_class": 0, "published": None}
        cut = settings.datasets[name].model_copy(update=unread)
        loader = find(name, cut, self._packed)
        if loader not in self._data:
            dataset = loader.load()
            self._data[loader] = Source(loader.kind, dataset.digest, loader), dataset
        return self._data[loader]

    def vanilla(
        self,
        dataset: str,
        classes: tuple[str, ...],
        settings: Settings,
        seed: int,
        client: int,
        start: int = 0,
    ) -> Vanilla:
        """A client's training-free images of a data set, `synthesis.per_stage` of each class."""
        known = settings.foundation.model_dump_json()
        if known not in self._models:
            digest = sources.digest(settings.foundation)
            self._models[known] = Models(settings.foundation, digest)
        models, side = self._models[known], settings.datasets[dataset].image_side
        return Vanilla(models, classes, side, start, settings.synthesis, seed, client)

    def tuned(
        self, vanilla: Vanilla, source: Source, owned: Sequence[int], settings: Settings
    ) -> Tuned:
        """The model tuned on the training images `owned`, with `vanilla` for what they lack."""
        return Tuned(Described(vanilla.models, source, tuple(owned)), vanilla, settings.lora)

    def clients(
        self,
        kind: str | None,
        dataset: str,
        parts: Sequence[torch.Tensor],
        settings: Settings,
        seed: int,
    ) -> tuple[tuple[Synthetic, ...], ...]:
        """The synthetic images that every client makes for itself, of one `Method.synthesis`.

        They come in pieces, so that of many images some can be used, and none is lost to a kill.
        A client that owns no image has nothing to tune on: its images are the training-free ones.
        """
        starts = range(
            0, settings.datasets[dataset].synthetic_per_class, settings.synthesis.per_stage
        )
        if kind is None or not starts:
            return ()
        source, images = self.source(dataset, settings)
        made: list[tuple[Synthetic, ...]] = []
        for client, part in enumerate(parts):
            drawn = [
                self.vanilla(dataset, images.classes, settings, seed, client, start)
                for start in starts
            ]
            if kind == "vanilla" or not len(part):
                made.append(tuple(drawn))
            else:
                tuned = self.tuned(drawn[0], source, part.tolist(), settings)
                made.append(tuple(Tailored(tuned, start) for start in starts))
        return tuple(made)
