"""Sampling images: each from a generator of its own, so that no image depends on its batch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from . import conditions
from .data import resized
from .engine import Checkpoint
from .foundation import Foundation
from .params import SynthesisSettings
from .seeds import derive
from .system import Fitting

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

# By `synthesis.scheduler`, diffusers' class and what is set in it. All draw in a few steps from any
# noise schedule, and draw no noise but the first.
SCHEDULERS: Mapping[str, tuple[str, dict[str, Any]]] = MappingProxyType(
    {
        "dpmsolver++": ("DPMSolverMultistepScheduler", {}),  # Lu et al. 2022
        "unipc": ("UniPCMultistepScheduler", {}),  # Zhao et al. 2023
        # Song, Meng and Ermon 2021; latents are not bounded as pixels are.
        "ddim": ("DDIMScheduler", {"clip_sample": False}),
    }
)


@contextmanager
def scheduled(pipeline: "StableDiffusionPipeline", scheduler: str) -> Iterator[None]:
    """Within the block `pipeline` samples by `scheduler`, on the noise schedule it came with."""
    import diffusers

    before = pipeline.scheduler
    kind, changes = SCHEDULERS[scheduler]
    pipeline.scheduler = getattr(diffusers, kind).from_config(before.config, **changes)
    try:
        yield
    finally:
        pipeline.scheduler = before


@torch.inference_mode()
def sample(
    foundation: Foundation,
    prompts: Sequence[str],
    tokens: torch.Tensor | None,
    seeds: Sequence[tuple[int | str, ...]],
    settings: SynthesisSettings,
    tick: Callable[[float], None] = lambda fraction: None,
    checkpoint: Checkpoint | None = None,
    side: int | None = None,
) -> torch.Tensor:
    """One image for each prompt: uint8 (n, 3, side, side), on the CPU.

    tokens: (n, d) visual features or None (`conditions.prompt_embeddings`). seeds: for each image
    the path its noise derives from (s_i = G(z_i, p_i), Sec. 4.1.1). `tick` gets the share done.
    `checkpoint`: where the batches are kept (`batchwise`). `side`, in pixels: each batch is scaled
    to it as soon as it is drawn; None: that of the model.
    """

    def some(part: slice) -> torch.Tensor:
        positive, negative = conditions.prompt_embeddings(
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
        drawn = foundation.finite(drawn.float(), "generated images")
        images = (drawn * 255).round().to(torch.uint8)
        return resized(images, side or foundation.image_side).cpu()

    fitting = Fitting("drawing an image")
    with scheduled(foundation.pipeline, settings.scheduler):
        parts = conditions.batchwise(
            some, len(prompts), settings.batch_size, fitting, checkpoint, tick
        )
    return torch.cat(parts)
