"""From settings to stages: which computation each number needs, and what it shares.

Not to be taken for the pipeline of diffusers, which is in `foundation`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from .data import Dataset
from .datasets import PACKED, Loader, find
from .hub import Sources
from .params import FoundationSettings, Settings, TrainingSettings
from .partition import PartitionSpec
from .stages import Captioned, LoraImages, Models, Size, Source, Tuned, Vanilla
from .system import resolved

Synthetic = Vanilla | LoraImages
Placed = TypeVar("Placed", FoundationSettings, TrainingSettings)


class Pipeline:
    """Builds stages. Data sets and digests are read once in its lifetime, and nothing is run."""

    def __init__(self, packed: Path = PACKED) -> None:
        """packed : as for `datasets.load`."""
        self._packed = packed
        self._data: dict[Loader, tuple[Source, Dataset]] = {}
        self._models: dict[str, Models] = {}
        self._parts: dict[tuple[Loader, str, int], tuple[tuple[int, ...], ...]] = {}

    def source(self, name: str, settings: Settings) -> tuple[Source, Dataset]:
        """The data set `name`, as stages name it and as it is."""
        # What loading does not read: data sets that differ in nothing else are read once.
        unread = {"clients": 1, "synthetic_per_class": 0, "published": None}
        cut = settings.datasets[name].model_copy(update=unread)
        loader = find(name, cut, self._packed)
        if loader not in self._data:
            self._data[loader] = self._read(loader)
        return self._data[loader]

    def _read(self, loader: Loader) -> tuple[Source, Dataset]:
        dataset = loader.load()
        return Source(loader.kind, dataset.digest, loader, Size.of(dataset)), dataset

    def models(self, settings: FoundationSettings) -> Models:
        """The foundation, as stages name it."""
        here = _here(settings)
        known = here.model_dump_json()
        if known not in self._models:
            self._models[known] = self._identified(here)
        return self._models[known]

    def _identified(self, settings: FoundationSettings) -> Models:
        sources = Sources(settings)
        return Models(sources.digest(), settings.device, sources)

    def training(self, settings: TrainingSettings) -> TrainingSettings:
        """How a network is trained, as stages name it."""
        return _here(settings)

    def parts(
        self, name: str, settings: Settings, partition: PartitionSpec, seed: int
    ) -> tuple[tuple[int, ...], ...]:
        """Each client's indices into the training set of the data set `name`.

        Runs that share a partition share one tuple: of a large data set each takes megabytes.
        """
        source, dataset = self.source(name, settings)
        known = source.loader, partition.model_dump_json(), seed
        if known not in self._parts:
            parts = partition.split(dataset.train.labels, len(dataset.classes), seed)
            self._parts[known] = tuple(tuple(part.tolist()) for part in parts)
        return self._parts[known]

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
        models, side = self.models(settings.foundation), settings.datasets[dataset].image_side
        return Vanilla(models, classes, side, start, settings.synthesis, seed, client)

    def tuned(
        self, vanilla: Vanilla, source: Source, owned: Sequence[int], settings: Settings
    ) -> Tuned:
        """The model tuned on the training images `owned`, with `vanilla` for what they lack."""
        return Tuned(Captioned(vanilla.models, source, tuple(owned)), vanilla, settings.lora)

    def synthetic(
        self,
        synthesis: str | None,
        dataset: str,
        parts: Sequence[Sequence[int]],
        settings: Settings,
        seed: int,
    ) -> tuple[tuple[Synthetic, ...], ...]:
        """The synthetic images that every client makes for itself, of one `Method.synthesis`.

        Without any for a method whose clients have none, or take their real ones again.
        They come in pieces, so that of many images some can be used, and none is lost to a kill.
        A client that owns no image has nothing to tune on: its images are the training-free ones.
        With `vanilla_pool` = "shared" these are the first client's for all: they differ in nothing
        but the noise, and cost a share of the time.
        """
        starts = range(
            0, settings.datasets[dataset].synthetic_per_class, settings.synthesis.per_stage
        )
        if synthesis in (None, "repeated") or not starts:
            return ()
        source, images = self.source(dataset, settings)
        made: list[tuple[Synthetic, ...]] = []
        for client, part in enumerate(parts):
            if synthesis == "vanilla" or not len(part):
                whose = client if settings.vanilla_pool == "client" else 0
                drawn = (
                    self.vanilla(dataset, images.classes, settings, seed, whose, start)
                    for start in starts
                )
                made.append(tuple(drawn))
            else:
                own = self.vanilla(dataset, images.classes, settings, seed, client)
                tuned = self.tuned(own, source, part, settings)
                made.append(tuple(LoraImages(tuned, start) for start in starts))
        return tuple(made)


def _here(settings: Placed) -> Placed:
    """`settings` with the kind of device that they mean on this machine: it has a part in keys.

    What "auto" has computed on a GPU is not what it computes without one.
    """
    return settings.model_copy(update={"device": resolved(settings.device)})
