"""Membership inference: who was a client's adapter, or its update, trained on?"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .. import conditions, tuning
from ..data import Dataset, Split
from ..engine.checkpoints import Checkpoint
from ..engine.marks import not_in_key
from ..engine.resuming import piecewise
from ..engine.stage import CHECKPOINT, Stage
from ..plan.work import BYTE, START, Work, generative
from ..seeds import torch_generator
from ..stages.inputs import Tick
from ..stages.tuned import Tuned
from . import leakage
from .membership import denoising_losses

FULL = 1.0  # who has the adapter chooses its strength; at this one it was tuned


@dataclass(frozen=True)
class AdapterAttack(Stage):
    """Writes scores.safetensors: members and strangers, float32 (n,) each, the score of an image.

    Members are training images of the client, strangers as many test images of the same classes
    (`leakage.balanced`). The attacker has the adapter, the public model and the image, and knows
    its class but no caption. The score is the loss without the adapter minus the loss with it
    (`membership.denoising_losses`), so that images which are easy for everybody gain nothing.
    """

    tuned: Tuned
    pairs: int

    def needs(self) -> tuple[Stage, ...]:
        return (self.tuned,)

    @not_in_key
    def work(self) -> Work:
        images = 2 * len(self.tuned.captioned.indices)  # members and strangers
        settings = self.tuned.captioned.models.settings
        return {
            START: 0.5,
            generative("denoised", settings, tuning.BATCH): 2 * images * self.pairs,
            generative("encoded", settings, tuning.BATCH): 2 * images,
            BYTE: 4 * images,
        }

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        captioned, (tuned,) = self.tuned.captioned, inputs
        dataset, foundation = captioned.source.load(), captioned.models.load()
        path = self.tuned.vanilla.seed, "attack", self.tuned.vanilla.client
        members, strangers = candidates(dataset, captioned.indices, *path)
        side = foundation.image_side  # as `Tuned` saw its images
        every = [own.pictures(torch.arange(len(own)), side) for own in (members, strangers)]
        labels = torch.cat([members.labels, strangers.labels])
        asked = (
            torch.cat(every),
            [conditions.multimodal_prompt(dataset.classes[k], "") for k in labels.tolist()],
            self.pairs,
            path,
        )
        checkpoint = Checkpoint(folder / CHECKPOINT / "losses.safetensors")

        def losses(adapters: int) -> Tensor:
            with ExitStack() as stack:
                if adapters:
                    stack.enter_context(tuning.tuned(foundation, tuned / "adapter", FULL))
                return denoising_losses(foundation, *asked, checkpoint / f"within-{adapters}")

        without, within = piecewise(losses, (0, 1), checkpoint, tick)
        save_scores(folder, without - within, len(members))


def candidates(dataset: Dataset, indices: tuple[int, ...], *path: int | str) -> tuple[Split, Split]:
    """Some of the training images at `indices`, and as many test images of the same classes."""
    own = torch.tensor(indices)
    chosen, others = leakage.balanced(
        dataset.train.labels[own], dataset.test.labels, torch_generator(*path, "candidates")
    )
    return dataset.train.subset(own[chosen]), dataset.test.subset(others)


def save_scores(folder: Path, scores: Tensor, members: int) -> None:
    """Write the scores (members + strangers,), members first, to `folder`."""
    parts = {"members": scores[:members].clone(), "strangers": scores[members:].clone()}
    save_file(parts, folder / "scores.safetensors")
