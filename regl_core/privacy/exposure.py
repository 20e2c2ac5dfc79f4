"""What clients give away: the attacks that notebooks ask for, and their numbers as rows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from safetensors.torch import load_file
from torch import Tensor

from ..engine import Stage, Store, run_stages
from ..params import Settings
from ..partition import PartitionSpec
from ..pipeline import Pipeline
from ..report import FT, RUN, TF
from ..runs import STORE, Run
from ..settings import Frozen
from ..stages import Embedded, EmbeddedReal, EmbeddedTest, LoraImages, Tuned
from .adapter_attack import AdapterAttack
from .leakage import separability
from .neighbours import Neighbours
from .update_attack import UpdateAttack

COLUMNS = [*RUN, "client", "what", "way", "measure", "value"]
Row = tuple[str, int, str, str, str, float]  # method, client, what, way, measure, value


class TunedModel(Frozen):
    """One client's model, tuned in one `way`: what tables call the settings."""

    way: str
    dataset: str
    partition: PartitionSpec
    seed: int
    client: int
    settings: Settings

    def tuned(self, pipeline: Pipeline) -> Tuned:
        """The client's tuned model, that of Table 2 where the settings are the same."""
        source, dataset = pipeline.source(self.dataset, self.settings)
        parts = self.partition.split(dataset.train.labels, len(dataset.classes), self.seed)
        vanilla = pipeline.vanilla(
            self.dataset, dataset.classes, self.settings, self.seed, self.client
        )
        return pipeline.tuned(vanilla, source, parts[self.client].tolist(), self.settings)


class AdapterMembership(TunedModel):
    """Membership inference on the adapter."""

    def stage(self, pipeline: Pipeline) -> AdapterAttack:
        return AdapterAttack(self.tuned(pipeline), self.settings.privacy.pairs)

    def rows(self, folder: Path) -> Iterator[Row]:
        scores = load_file(folder / "scores.safetensors")
        for measure, value in _separated(scores, self.settings):
            yield FT, self.client, "adapter", self.way, measure, value


class ImageCopying(TunedModel):
    """Nearest neighbours of the images drawn, by the model as it is or by the tuned one."""

    drawn: Literal["vanilla", "lora"] = "lora"

    def stage(self, pipeline: Pipeline) -> Neighbours:
        tuned = self.tuned(pipeline)
        images = (
            tuned.vanilla if self.drawn == "vanilla" else LoraImages(tuned, tuned.vanilla.start)
        )
        models, source = tuned.captioned.models, tuned.captioned.source
        real, held_out = EmbeddedReal(models, source), EmbeddedTest(models, source)
        return Neighbours(real, held_out, Embedded(images), tuned.captioned.indices)

    def rows(self, folder: Path) -> Iterator[Row]:
        found = json.loads((folder / "neighbours.json").read_text())
        method = TF if self.drawn == "vanilla" else FT
        for space, measures in found.items():
            for measure, value in measures.items():
                yield method, self.client, "images", self.way, f"{space}_{measure}", value


class UpdateMembership(Run):
    """Membership inference on the weights that the clients of a run send."""

    way: str

    def stage(self, pipeline: Pipeline) -> UpdateAttack:
        return UpdateAttack(super().stage(pipeline))

    def rows(self, folder: Path) -> Iterator[Row]:
        scores = load_file(folder / "scores.safetensors")
        for client in sorted({int(name.partition(".")[0]) for name in scores}):
            for measure, value in _separated(scores, self.settings, f"{client}."):
                yield self.method, client, "update", self.way, measure, value


def _separated(
    scores: Mapping[str, Tensor], settings: Settings, client: str = ""
) -> Iterator[tuple[str, float]]:
    """How well an attack's scores tell members from strangers: measures and their values."""
    pair = (scores[f"{client}{name}"] for name in ("members", "strangers"))
    auc, rate = separability(*pair, settings.privacy.false_positives)
    yield from {"auc": auc, "tpr_pct": 100 * rate}.items()


def owners(
    dataset: str, partition: PartitionSpec, seeds: Sequence[int], settings: Settings
) -> list[tuple[int, int]]:
    """Seed and number of every client that has images."""
    images = Pipeline().source(dataset, settings)[1]
    labels, classes = images.train.labels, len(images.classes)
    parts = {seed: partition.split(labels, classes, seed) for seed in seeds}
    return [(seed, i) for seed, own in parts.items() for i, part in enumerate(own) if len(part)]


def attack_all(
    grid: Sequence[AdapterMembership | ImageCopying | UpdateMembership],
    store: Store | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """The numbers of `grid`, a row for each: what the store has is read, the rest computed.

    Columns COLUMNS: "what" is looked at (images, adapter or update), in which "way" it was made,
    and a measure of `Neighbours`, or the "auc" and "tpr_pct" of `separability`.
    """
    store = store or Store(STORE)
    pipeline = Pipeline(store.root / "packed")
    stages: list[Stage] = [item.stage(pipeline) for item in grid]
    run_stages(stages, store, workers)
    rows = [
        (item.dataset, item.partition.setting, method, item.seed, *rest)
        for item, stage in zip(grid, stages, strict=True)
        for method, *rest in item.rows(store.ensure(stage))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
