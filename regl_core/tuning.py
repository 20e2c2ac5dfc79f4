"""LoRA on one client's images (Sec. 4.1.2), by peft on the U-Net's attention."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from . import conditions
from .data import resized
from .engine import Checkpoint, stepwise
from .foundation import Foundation
from .params import LoraSettings
from .seeds import derive, torch_generator
from .system import Fitting

if TYPE_CHECKING:
    from diffusers import DDPMScheduler

ADAPTER = "client"
TARGETS = ("to_k", "to_q", "to_v", "to_out.0")
BATCH = 64  # images encoded at once


@dataclass(frozen=True)
class Lesson:
    """Images to learn from, each with its condition.

    images: uint8 (n, 3, side, side), a tensor or what gives slices as one does; prompts: n texts;
    tokens: (n, d) visual features or None.
    """

    images: Any
    prompts: Sequence[str]
    tokens: torch.Tensor | None


@dataclass(frozen=True)
class Encoded:
    """A lesson as the U-Net sees it: latents, float32 (n, …), and text states (n, tokens, d)."""

    latents: torch.Tensor
    states: torch.Tensor

    def some(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """`n` of them, drawn with replacement."""
        index = torch.randint(len(self.latents), (n,), generator=generator)
        return self.latents[index], self.states[index]


@torch.no_grad()
def encode(foundation: Foundation, lesson: Lesson, checkpoint: Checkpoint | None = None) -> Encoded:
    """`lesson` in latents and states, on the foundation's device; `checkpoint` as in `batchwise`.

    Its images are read batch by batch, and scaled to the side of the model's where they have
    another.
    """
    vae, count = foundation.pipeline.vae, len(lesson.prompts)

    def latent(part: slice) -> torch.Tensor:
        images = resized(lesson.images[part].to(foundation.device), foundation.image_side)
        pixels = images.to(foundation.dtype) / 127.5 - 1
        return vae.encode(pixels).latent_dist.mode().cpu()

    def state(part: slice) -> torch.Tensor:
        tokens = None if lesson.tokens is None else lesson.tokens[part]
        return conditions.prompt_embeddings(foundation, lesson.prompts[part], tokens)[0]

    fitting = Fitting("encoding an image")
    # In bfloat16 the scheduler would round its noise levels with them; the lowest would be 0.
    latents = torch.cat(conditions.batchwise(latent, count, BATCH, fitting, checkpoint)).float()
    states = torch.cat(conditions.batchwise(state, count, BATCH, fitting))
    foundation.finite(latents, "images in latent space")
    return Encoded(latents.to(foundation.device) * vae.config.scaling_factor, states)


def tune(
    foundation: Foundation,
    real: Lesson,
    prior: Lesson | None,
    settings: LoraSettings,
    folder: Path,
    seed: Sequence[int | str],
    tick: Callable[[float], None] = lambda fraction: None,
    checkpoint: Checkpoint | None = None,
) -> list[float]:
    """Tune an adapter on `real`, save it in `folder`, return the loss of every step.

    prior: images of the classes the client lacks, made by the untuned model; with it,
    `settings.prior_share` of every batch comes from there and keeps what they show in
    place (prior preservation; our addition, the paper tunes on real images alone). The
    loss is the one the model was trained with, by its scheduler's prediction type. The
    U-Net is left as it was. `checkpoint`: where to go on from and to save to, while encoding and
    after a step (`resuming`). A batch too large for the memory is gone through in parts, whose
    gradients add up to the same.
    """
    # The sampler's own add_noise looks noise levels up in its *sampling* steps: before a first
    # image they are in reverse, after it all but a few are missing.
    unet, schedule = foundation.pipeline.unet, noise_schedule(foundation)
    lesson = encode(foundation, real, checkpoint and checkpoint / "real")
    others = (
        None if prior is None else encode(foundation, prior, checkpoint and checkpoint / "prior")
    )
    share = 0 if others is None else round(settings.batch_size * settings.prior_share)
    mixed = torch.autocast(
        foundation.device.type, torch.bfloat16, enabled=foundation.dtype == torch.bfloat16
    )
    fitting = Fitting("tuning on an image")
    with new_adapter(foundation, settings, *seed) as adapter:
        optimiser = torch.optim.AdamW(adapter, lr=settings.rate, weight_decay=1e-2)

        def step(number: int) -> float:
            generator = torch_generator(*seed, "step", number)
            latents, states = lesson.some(settings.batch_size - share, generator)
            if others is not None and share:
                more = others.some(share, generator)
                latents, states = map(torch.cat, zip((latents, states), more, strict=True))
            noise = torch.randn(latents.shape, generator=generator).to(latents)
            levels = schedule.config.num_train_timesteps
            t = torch.randint(levels, (len(latents),), generator=generator).to(foundation.device)
            noisy = schedule.add_noise(latents, noise, t)
            aim = target(schedule, latents, noise, t).float()

            def backward(size: int) -> float:
                """The loss, and its gradients, from `size` images at once."""
                optimiser.zero_grad()
                total = 0.0
                for start in range(0, len(t), size):
                    part = slice(start, start + size)
                    with mixed:
                        output = unet(noisy[part], t[part], states[part]).sample
                    loss = F.mse_loss(output.float(), aim[part]) * (len(output) / len(t))
                    loss.backward()
                    total += foundation.finite(loss.detach(), "the loss of tuning").item()
                return total

            loss = fitting.tried(backward, len(t))
            optimiser.step()
            return loss

        losses = stepwise(step, settings.steps, (adapter, optimiser), checkpoint, tick)
        unet.save_lora_adapter(folder, adapter_name=ADAPTER, safe_serialization=True)
        _same_bytes(folder)
    return losses


def noise_schedule(foundation: Foundation) -> "DDPMScheduler":
    """The noise levels that the text-to-image model was trained with."""
    from diffusers import DDPMScheduler  # seconds of imports, as below

    return DDPMScheduler.from_config(foundation.pipeline.scheduler.config)


@contextmanager
def new_adapter(
    foundation: Foundation, settings: LoraSettings, *seed: int | str
) -> Iterator[nn.ParameterList]:
    """Within the block the U-Net carries a fresh adapter, whose weights alone can be trained.

    Each matrix W of its attention becomes W + (alpha / rank) B A, with A drawn from `seed` and B
    zero (Hu et al. 2022). The block gets all A and B, float32; after it the U-Net is as it was.
    """
    from diffusers.training_utils import cast_training_params
    from peft import LoraConfig

    unet = foundation.pipeline.unet
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(*seed, "init"))
        unet.add_adapter(
            LoraConfig(
                r=settings.rank,
                lora_alpha=settings.alpha,
                init_lora_weights="gaussian",
                target_modules=list(TARGETS),
            ),
            adapter_name=ADAPTER,
        )
    # The steps of the optimiser are too small for half of the digits.
    cast_training_params(unet, torch.float32)
    try:
        yield nn.ParameterList(p for p in unet.parameters() if p.requires_grad)
    finally:
        unet.unload_lora()
        unet.requires_grad_(False)


def _same_bytes(folder: Path) -> None:
    """Write the adapter in `folder` again with its settings in one order.

    peft keeps the names of the target modules in a set, whose order differs between
    processes; so would the file, and what is equal must have equal bytes.
    """
    (path,) = folder.glob("*.safetensors")
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        settings = json.loads(file.metadata()["lora_adapter_metadata"])
    ordered = {k: sorted(v) if isinstance(v, list) else v for k, v in sorted(settings.items())}
    save_file(tensors, path, metadata={"lora_adapter_metadata": json.dumps(ordered)})


def target(
    schedule: "DDPMScheduler", latents: torch.Tensor, noise: torch.Tensor, t: torch.Tensor
) -> torch.Tensor:
    """What the U-Net was trained to predict: the noise, or the velocity (Salimans & Ho 2022)."""
    if schedule.config.prediction_type == "epsilon":
        return noise
    return schedule.get_velocity(latents, noise, t)


@contextmanager
def with_adapter(foundation: Foundation, folder: Path, strength: float) -> Iterator[None]:
    """Within the block the U-Net carries the adapter in `folder` at `strength` (Appendix B's α)."""
    unet = foundation.pipeline.unet
    unet.load_lora_adapter(folder, prefix=None, adapter_name=ADAPTER, use_safetensors=True)
    try:
        unet.set_adapters([ADAPTER], [strength])
        yield
    finally:
        unet.unload_lora()
        unet.requires_grad_(False)
