"""Sampling images: each from a generator of its own, so that no image depends on its batch."""

from collections.abc import Callable, Sequence

import torch

from . import conditions
from .foundation import Foundation
from .keeper import Keeper
from .params import SynthesisSettings
from .resuming import piecewise
from .seeds import derive


@torch.inference_mode()
def sample(
    foundation: Foundation,
    prompts: Sequence[str],
    tokens: torch.Tensor | None,
    seeds: Sequence[tuple[int | str, ...]],
    settings: SynthesisSettings,
    tick: Callable[[float], None] = lambda fraction: None,
    keeper: Keeper | None = None,
) -> torch.Tensor:
    """One image for each prompt: uint8 (n, 3, side, side), on the CPU.

    tokens: (n, d) visual features or None (`conditions.encode`). seeds: for each image the
    path its noise derives from (s_i = G(z_i, p_i), Sec. 4.1.1). `tick` gets the share done.
    `keeper`: where the batches are kept, and those that are there are taken from (`piecewise`).
    """

    def batch(start: int) -> torch.Tensor:
        part = slice(start, start + settings.batch_size)
        positive, negative = conditions.encode(
            foundation, prompts[part], None if tokens is None else tokens[part]
        )
        noise = [torch.Generator().manual_seed(derive(*path)) for path in seeds[part]]
        drawn = foundation.pipeline(
            prompt_embeds=positive,
            negative_prompt_embeds=negative,
            num_inference_steps=settings.sampling_steps,
            guidance_scale=settings.guidance,
            generator=noise,
            output_type="pt",
        ).images
        return (drawn.float() * 255).round().to(torch.uint8).cpu()

    starts = range(0, len(prompts), settings.batch_size)
    return torch.cat(piecewise(batch, starts, keeper, tick))
