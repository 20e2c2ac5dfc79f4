"""Training-free generation (Sec. 4.1.1)."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from .. import conditions, generation
from ..engine import Checkpoint, Stage
from ..params import SynthesisSettings
from .inputs import Models, Tick


@dataclass(frozen=True)
class Vanilla(Stage):
    """Some of a client's images, from the model as it is, with the client's own noise.

    Of every class `synthesis.per_stage`, those from number `start` on, at `side` pixels: those of
    the data set, which a data set's images are compared with and trained beside.
    Writes images.safetensors: uint8 (classes, per_stage, 3, side, side).
    """

    models: Models
    classes: tuple[str, ...]
    side: int
    start: int
    synthesis: SynthesisSettings
    seed: int
    client: int

    def count(self) -> int:
        """Number of images made."""
        return self.synthesis.per_stage * len(self.classes)

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        prompts = [
            conditions.vanilla_prompt(self.synthesis.prompt, name)
            for name in self.classes
            for _ in range(self.synthesis.per_stage)
        ]
        images = generation.sample(
            self.models.load(),
            prompts,
            None,
            noise(self, "vanilla", self.start),
            self.synthesis,
            tick,
            Checkpoint(folder, "images"),
            self.side,
        )
        save_images(folder, images, len(self.classes))


def noise(like: Vanilla, kind: str, start: int) -> list[tuple[int | str, ...]]:
    """A seed path per image: the i-th image of a class is the same however many follow."""
    return [
        (like.seed, kind, like.client, name, i)
        for name in like.classes
        for i in range(start, start + like.synthesis.per_stage)
    ]


def save_images(folder: Path, images: torch.Tensor, classes: int) -> None:
    """Write the images (classes · n, 3, side, side), ordered by class, to `folder`."""
    shaped = images.unflatten(0, (classes, -1)).contiguous()
    save_file({"images": shaped}, folder / "images.safetensors")


def load_images(folder: Path) -> torch.Tensor:
    """uint8 (classes, n, 3, side, side), as `save_images` wrote them."""
    return load_file(folder / "images.safetensors")["images"]
