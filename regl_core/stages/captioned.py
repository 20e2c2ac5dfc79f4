"""One client's real images in words and features (Sec. 4.1.2)."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from .. import conditions
from ..engine import Checkpoint, Stage
from ..images import Images
from .inputs import Models, Source, Tick


@dataclass(frozen=True)
class Captioned(Stage):
    """Writes captions.json (n texts) and features.safetensors (n, d), in the order of `indices`."""

    models: Models
    source: Source
    indices: tuple[int, ...]  # of the client's images in the training set

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        dataset, foundation = self.source.load(), self.models.load()
        images = Images.of(dataset.train.images).view(torch.tensor(self.indices))
        checkpoint = Checkpoint(folder, "images")
        texts = conditions.captions(foundation, images, dataset.classes, checkpoint / "captions")
        (folder / "captions.json").write_text(json.dumps(texts))
        tick(0.7)
        features = conditions.features(foundation, images, checkpoint / "features")
        save_file({"features": features}, folder / "features.safetensors")
