"""From settings to stages: which computation each number needs, and what it shares."""

from collections.abc import Sequence

import torch

from . import data, sources
from .params import Settings
from .stages.described import Described
from .stages.inputs import Models, Source
from .stages.tailored import Tailored
from .stages.tuned import Tuned
from .stages.vanilla import Vanilla

Synthetic = Vanilla | Tailored


class Pipeline:
    """Builds stages. Data sets and digests are read once in its lifetime, and nothing is run."""

    def __init__(self) -> None:
        self._data: dict[str, tuple[Source, data.Dataset]] = {}
        self._models: dict[str, Models] = {}

    def source(self, name: str, settings: Settings) -> tuple[Source, data.Dataset]:
        """The data set `name`, as stages name it and as it is."""
        # What `data.load` does not read must not tell computations apart: with more synthetic
        # images a client's tuned model stays the same, and FedAvg stays what it is.
        unread = {"clients": 1, "synthetic_per_class": 0, "published": None}
        cut = settings.datasets[name].model_copy(update=unread)
        known = f"{name} {cut.model_dump_json()}"
        if known not in self._data:
            dataset = data.load(name, cut)
            self._data[known] = Source(name, cut, dataset.digest), dataset
        return self._data[known]

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
