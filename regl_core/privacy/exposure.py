"""What clients give away: the attacks that notebooks ask for, and their numbers as rows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from safetensors.torch import load_file
from torch import Tensor

from ..params import Settings
from ..partition import PartitionSpec
from ..pipeline import Pipeline
from ..report import FT, RUN, TF
from ..runs import Run
from ..settings import Frozen
from ..stages import Embedded, EmbeddedReal, EmbeddedTest, LoraImages, Tuned
from .adapter_attack import AdapterAttack
from .leakage import separability
from .neighbours import Neighbours
from .update_attack import UpdateAttack

COLUMNS = [*RUN, "client", "what", "way", "measure", "value"]


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
        parts = pipeline.parts(self.dataset, self.settings, self.partition, self.seed)
        vanilla = pipeline.vanilla(
            self.dataset, dataset.classes, self.settings, self.seed, self.client
        )
        return pipeline.tuned(vanilla, source, parts[self.client], self.settings)


class AdapterMembership(TunedModel):
    """Membership inference on the adapter."""

    def stage(self, pipeline: Pipeline) -> AdapterAttack:
        return AdapterAttack(self.tuned(pipeline), self.settings.privacy.pairs)

    def result(self, folder: Path) -> pd.DataFrame:
        scores = load_file(folder / "scores.safetensors")
        return _rows(self, FT, "adapter", {self.client: _separated(scores, self.settings)})


class ImageCopying(TunedModel):
    """Nearest neighbours of the images generated, by the model as it is or by the tuned one."""

    drawn: Literal["vanilla", "lora"] = "lora"

    def stage(self, pipeline: Pipeline) -> Neighbours:
        tuned = self.tuned(pipeline)
        images = (
            tuned.vanilla if self.drawn == "vanilla" else LoraImages(tuned, tuned.vanilla.start)
        )
        models, source = tuned.captioned.models, tuned.captioned.source
        real, held_out = EmbeddedReal(models, source), EmbeddedTest(models, source)
        return Neighbours(real, held_out, Embedded(images), tuned.captioned.indices)

    def result(self, folder: Path) -> pd.DataFrame:
        spaces = json.loads((folder / "neighbours.json").read_text()).items()
        found = {f"{space}_{name}": it for space, own in spaces for name, it in own.items()}
        return _rows(self, TF if self.drawn == "vanilla" else FT, "images", {self.client: found})


class UpdateMembership(Run):
    """Membership inference on the weights that the clients of a run send."""

    way: str

    def stage(self, pipeline: Pipeline) -> UpdateAttack:
        return UpdateAttack(super().stage(pipeline))

    def result(self, folder: Path) -> pd.DataFrame:
        scores = load_file(folder / "scores.safetensors")
        clients = sorted({int(name.partition(".")[0]) for name in scores})
        found = {one: _separated(scores, self.settings, f"{one}.") for one in clients}
        return _rows(self, self.method, "update", found)


def _separated(
    scores: Mapping[str, Tensor], settings: Settings, client: str = ""
) -> dict[str, float]:
    """How well an attack's scores tell members from strangers, by measure."""
    pair = (scores[f"{client}{name}"] for name in ("members", "strangers"))
    auc, rate = separability(*pair, settings.privacy.false_positives)
    return {"auc": auc, "tpr_pct": 100 * rate}


def _rows(
    of: TunedModel | UpdateMembership,
    method: str,
    what: str,
    clients: Mapping[int, Mapping[str, float]],
) -> pd.DataFrame:
    """A row for each measure of each of the `clients`: COLUMNS.

    "what" is looked at (images, adapter or update), in which "way" it was made, and a measure of
    `Neighbours`, or the "auc" and "tpr_pct" of `separability`.
    """
    run = of.dataset, of.partition.setting, method, of.seed
    rows = [
        (*run, client, what, of.way, measure, value)
        for client, measures in clients.items()
        for measure, value in measures.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def owners(
    dataset: str, partition: PartitionSpec, seeds: Sequence[int], settings: Settings
) -> list[tuple[int, int]]:
    """Seed and number of every client that has images."""
    pipeline = Pipeline()
    parts = {seed: pipeline.parts(dataset, settings, partition, seed) for seed in seeds}
    return [(seed, i) for seed, own in parts.items() for i, part in enumerate(own) if part]
