"""LoRA tuning on one client's images (Sec. 4.1.2)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from .. import conditions, tuning
from ..data import Split
from ..engine import Checkpoint, Stage
from ..params import LoraSettings
from ..seeds import torch_generator
from .captioned import Captioned
from .inputs import Tick
from .vanilla_images import Vanilla, load_images


@dataclass(frozen=True, eq=False)
class Enlarged:
    """The images at `indices` of a split, at `side` pixels, made when they are asked for."""

    split: Split
    indices: torch.Tensor
    side: int

    def __getitem__(self, part: slice) -> torch.Tensor:
        return self.split.pictures(self.indices[part], self.side)


@dataclass(frozen=True)
class Tuned(Stage):
    """Writes adapter/, losses.json and visual.safetensors, the client's `ClassFeatures`.

    The client's training-free images serve twice: their mean features stand in for classes
    it lacks, and, with `lora.prior_share`, they keep those classes in place while it tunes.
    """

    captioned: Captioned
    vanilla: Vanilla
    lora: LoraSettings

    def needs(self) -> tuple[Stage, ...]:
        return self.captioned, self.vanilla

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        captioned, vanilla = inputs
        checkpoint = Checkpoint(folder, "tuning")
        dataset, foundation = self.captioned.source.load(), self.captioned.models.load()
        index = torch.tensor(self.captioned.indices)
        labels = dataset.train.labels[index]
        texts = json.loads((captioned / "captions.json").read_text())
        real = load_file(captioned / "features.safetensors")["features"]
        drawn = load_images(vanilla)
        typical = conditions.features(foundation, drawn.flatten(0, 1), checkpoint / "typical")
        typical = typical.view(*drawn.shape[:2], -1).mean(1)
        visual = conditions.ClassFeatures.of(real, labels, typical, self.lora.missing_feature)
        save_file(vars(visual), folder / "visual.safetensors")
        names, path = dataset.classes, (self.vanilla.seed, "lora", self.vanilla.client)

        def lesson(images: Any, labels: torch.Tensor, texts: Sequence[str]) -> tuning.Lesson:
            said = [
                conditions.multimodal_prompt(names[k], text)
                for k, text in zip(labels.tolist(), texts, strict=True)
            ]
            return tuning.Lesson(images, said, tokens(self, visual, labels, *path, "lesson"))

        lacking = sorted(set(range(len(names))) - set(labels.tolist()))
        prior = None
        if lacking and self.lora.prior_share:
            shown = drawn[lacking].flatten(0, 1)
            of_class = torch.tensor(lacking).repeat_interleave(drawn.shape[1])
            captions = conditions.captions(foundation, shown, names, checkpoint / "captions")
            prior = lesson(shown, of_class, captions)
        losses = tuning.tune(
            foundation,
            lesson(Enlarged(dataset.train, index, foundation.image_side), labels, texts),
            prior,
            self.lora,
            folder / "adapter",
            path,
            tick,
            checkpoint,
        )
        (folder / "losses.json").write_text(json.dumps(losses))


def tokens(
    tuned: Tuned, visual: conditions.ClassFeatures, of_class: torch.Tensor, *path: int | str
) -> torch.Tensor | None:
    """A feature (n, d) for each entry of `of_class`, drawn by `path`; None if none are used."""
    if not tuned.lora.visual_token:
        return None
    return visual.draw(of_class, tuned.lora.feature_images, torch_generator(*path))
