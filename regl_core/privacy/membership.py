"""Which images was a diffusion model tuned on? The attack by its loss."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .. import tuning
from ..engine.checkpoints import Checkpoint
from ..engine.resuming import stepwise
from ..foundation import Foundation
from ..seeds import torch_generator

BATCH = 64


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
