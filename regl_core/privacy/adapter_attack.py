"""Membership inference on a client's adapter: which images was the model tuned on?"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .. import conditions, tuning
from ..data import Dataset, Split
from ..engine import Checkpoint, Stage, piecewise, stepwise
from ..foundation import Foundation
from ..seeds import torch_generator
from ..stages import Tick, Tuned
from . import leakage

BATCH = 64
FULL = 1.0  # who has the adapter chooses its strength; at this one it was tuned


@dataclass(frozen=True)
class AdapterAttack(Stage):
    """Writes scores.safetensors: members and strangers, float32 (n,) each, the score of an image.

    Members are training images of the client, strangers as many test images of the same classes
    (`leakage.balanced`). The attacker has the adapter, the public model and the image, and knows
    its class but no caption. The score is the loss without the adapter minus the loss with it
    (`denoising_losses`), so that images which are easy for everybody gain nothing.
    """

    tuned: Tuned
    pairs: int

    def needs(self) -> tuple[Stage, ...]:
        return (self.tuned,)

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
        checkpoint = Checkpoint(folder, "losses")

        def losses(adapters: int) -> Tensor:
            with ExitStack() as stack:
                if adapters:
                    stack.enter_context(tuning.with_adapter(foundation, tuned / "adapter", FULL))
                return denoising_losses(foundation, *asked, checkpoint / f"within-{adapters}")

        without, within = piecewise(losses, (0, 1), checkpoint, tick)
        save_scores(folder, without - within, len(members))


@torch.inference_mode()
def denoising_losses(
    foundation: Foundation,
    images: Tensor,
    prompts: Sequence[str],
    pairs: int,
    seed: Sequence[int | str],
    checkpoint: Checkpoint | None = None,
) -> Tensor:
    """How badly the model denoises each image, float32 (n,) on the CPU.

    images: uint8 (n, 3, side, side), at the model's side, each with its prompt. The mean over
    `pairs` of a time step and a noise, the same for all images: the time steps evenly spread over
    the schedule, the noises drawn from `seed`. The loss is the one the model is tuned with.
    checkpoint: where to go on from and to save to, after a batch.

    A model denoises better what it has learnt (Carlini et al., "Extracting training data from
    diffusion models", 2023, Sec. 5.2; Matsumoto, Miura and Yanai, "Membership inference attacks
    against diffusion models", 2023, who find middle time steps the most telling).
    """
    from diffusers import DDPMScheduler  # seconds of imports

    # As in tuning: the sampler's own add_noise knows its few sampling steps alone.
    schedule = DDPMScheduler.from_config(foundation.pipeline.scheduler.config)
    lesson = tuning.Lesson(images, prompts, None)
    encoded = tuning.encode(foundation, lesson, checkpoint and checkpoint / "encoded")
    batches = list(zip(encoded.latents.split(BATCH), encoded.states.split(BATCH), strict=True))
    steps = schedule.config.num_train_timesteps

    def batch(number: int) -> Tensor:
        pair, (latents, states) = number // len(batches), batches[number % len(batches)]
        step = torch.tensor(int((pair + 0.5) * steps / pairs), device=foundation.device)
        drawn = torch.randn(latents.shape[1:], generator=torch_generator(*seed, pair)).to(latents)
        noise, t = drawn.expand_as(latents), step.expand(len(latents))
        noisy = schedule.add_noise(latents, noise, t).to(foundation.dtype)
        output = foundation.pipeline.unet(noisy, t, states)
        aim = tuning.target(schedule, latents, noise, t)
        return (output.sample.float() - aim.float()).square().flatten(1).mean(1).cpu()

    found = stepwise(batch, pairs * len(batches), (), checkpoint)
    total = torch.zeros(len(images))
    for pair in range(pairs):
        total += torch.cat(found[pair * len(batches) : (pair + 1) * len(batches)])
    return total / pairs


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
