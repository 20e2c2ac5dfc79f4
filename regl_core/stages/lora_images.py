"""Generation with a client's own tuned model (Sec. 4.1.2)."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from .. import conditions, generation, tuning
from ..engine import Checkpoint, Stage
from .inputs import Models, Tick
from .tuned import Tuned, tokens
from .vanilla_images import noise, save_images


@dataclass(frozen=True)
class LoraImages(Stage):
    """As many images as a stage `Vanilla` makes, those of each class from number `start` on.

    Writes images.safetensors, prompts.json.
    """

    tuned: Tuned
    start: int

    def needs(self) -> tuple[Stage, ...]:
        return self.tuned, self.tuned.captioned

    @property
    def models(self) -> Models:
        """The foundation that made the images."""
        return self.tuned.vanilla.models

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, in the order of the images."""
        return self.tuned.vanilla.classes

    def count(self) -> int:
        """Number of images made."""
        return self.tuned.vanilla.count()

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        tuned, captioned = inputs
        like, source = self.tuned.vanilla, self.tuned.captioned.source
        foundation = like.models.load()
        labels = source.load().train.labels[list(self.tuned.captioned.indices)]
        texts = json.loads((captioned / "captions.json").read_text())
        count, path = like.synthesis.per_stage, (like.seed, "captions", like.client)
        prompts = [
            conditions.multimodal_prompt(name, text)
            for k, name in enumerate(like.classes)
            for text in conditions.borrowed(texts, labels, k, count, *path, name, self.start)
        ]
        visual = conditions.ClassFeatures(**load_file(tuned / "visual.safetensors"))
        of_class = torch.arange(len(like.classes)).repeat_interleave(count)
        path = like.seed, "features", like.client, self.start
        features = tokens(self.tuned, visual, of_class, *path)
        sampling = like.synthesis.model_copy(update={"guidance": self.tuned.lora.guidance})
        with tuning.with_adapter(foundation, tuned / "adapter", self.tuned.lora.strength):
            images = generation.sample(
                foundation,
                prompts,
                features,
                noise(like, "tailored", self.start),
                sampling,
                tick,
                Checkpoint(folder, "images"),
                like.side,
            )
        (folder / "prompts.json").write_text(json.dumps(prompts))
        save_images(folder, images, len(like.classes))
