"""Membership inference on a client's adapter: which images was the model tuned on?"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .. import conditions, tuning
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
        own = dataset.train.subset(torch.tensor(captioned.indices))
        pair = leakage.balanced(own, dataset.test, *path)
        side = foundation.image_side  # as `Tuned` saw its images
        images = torch.cat([split.pictures(torch.arange(len(split)), side) for split in pair])
        names = [dataset.classes[k] for split in pair for k in split.labels.tolist()]
        prompts = [conditions.multimodal_prompt(name, "") for name in names]
        checkpoint = Checkpoint(folder, "losses")

        def losses(adapters: int) -> Tensor:
            adapter = tuning.with_adapter(foundation, tuned / "adapter", FULL)
            kept = checkpoint / f"within-{adapters}"
            with adapter if adapters else nullcontext():
                return denoising_losses(foundation, images, prompts, self.pairs, path, kept)

        without, within = piecewise(losses, (0, 1), checkpoint, tick)
        members, strangers = (without - within).tensor_split([len(pair[0])])
        scores = {"members": members.clone(), "strangers": strangers.clone()}
        save_file(scores, folder / "scores.safetensors")


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

    found = torch.cat(stepwise(batch, pairs * len(batches), (), checkpoint))
    return sum(found.view(pairs, len(images))) / pairs
