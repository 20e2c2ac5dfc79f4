"""Images as the image encoder sees them: how far synthetic ones lie from the real (Fig. 6)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file, save_file

from .. import conditions
from ..engine import Checkpoint, Stage
from . import distances
from .inputs import Models, Source, Tick
from .lora_images import LoraImages
from .vanilla_images import Vanilla, load_images


@dataclass(frozen=True)
class Embedded(Stage):
    """Writes features.safetensors: float32 (classes, n, d), unit length, of synthetic images."""

    images: Vanilla | LoraImages

    def needs(self) -> tuple[Stage, ...]:
        return (self.images,)

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        images = load_images(inputs[0])
        loaded, checkpoint = self.images.models.load(), Checkpoint(folder, "features")
        found = conditions.features(loaded, images.flatten(0, 1), checkpoint)
        shaped = found.unflatten(0, images.shape[:2]).contiguous()
        save_file({"features": shaped}, folder / "features.safetensors")


@dataclass(frozen=True)
class EmbeddedReal(Stage):
    """Writes features.safetensors: float32 (n, d), unit length, of all training images."""

    models: Models
    source: Source
    part: ClassVar[str] = "train"

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        images = getattr(self.source.load(), self.part).images
        found = conditions.features(self.models.load(), images, Checkpoint(folder, "features"))
        save_file({"features": found}, folder / "features.safetensors")


@dataclass(frozen=True)
class EmbeddedTest(EmbeddedReal):
    """The same of all test images."""

    part: ClassVar[str] = "test"


@dataclass(frozen=True)
class Distance(Stage):
    """How far all clients' images lie from the real ones.

    Writes distance.json: kernel and frechet (`distances`), over the images of all clients and
    classes. And points.safetensors: the real features (n, d) and as many synthetic ones, evenly
    spread over clients and classes.
    """

    real: EmbeddedReal
    synthetic: tuple[Embedded, ...]

    def needs(self) -> tuple[Stage, ...]:
        return self.real, *self.synthetic

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        real, *others = (load_file(path / "features.safetensors")["features"] for path in inputs)
        synthetic = torch.cat([features.flatten(0, 1) for features in others])
        checkpoint = Checkpoint(folder, "sums")
        found = {
            "kernel": distances.kernel_distance(real, synthetic, checkpoint, tick),
            "frechet": distances.frechet_distance(real, synthetic),
        }
        (folder / "distance.json").write_text(json.dumps(found))
        chosen = torch.linspace(0, len(synthetic) - 1, min(len(real), len(synthetic))).long()
        points = {"real": real, "synthetic": synthetic[chosen]}
        save_file(points, folder / "points.safetensors")
