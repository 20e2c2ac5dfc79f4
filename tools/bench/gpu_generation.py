"""Generative models with random weights: sampling, tuning, captions and features beside bare loops.

On a GPU Stable Diffusion 1.5, CLIP ViT-L/14 and BLIP-2 at their true sizes, on a CPU small ones of
the same classes. What each is asked for is as in the profile.
"""

import tempfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import diffusers
import torch
import torch.nn.functional as F
import transformers
from diffusers.training_utils import cast_training_params
from peft import LoraConfig

from regl_core import conditions, generation, tuning
from regl_core.foundation import Foundation
from regl_core.params import Settings

from ..replica import models
from .lines import Line
from .measuring import Amounts, Machine
from .pairs import Work

DIFFUSION = "stable-diffusion-v1-5"
WORD = "orange"  # a class; how long its name is makes no difference


class Generation:
    """The models, made when they are first needed, and what is measured on them."""

    def __init__(self, machine: Machine, settings: Settings, side: int, amounts: Amounts) -> None:
        """`side`: of a data set's images, in pixels."""
        self._machine, self._settings, self._side = machine, settings, side
        self._amounts = amounts
        self._dtype = settings.foundation.dtype

    @cached_property
    def _foundation(self) -> Foundation:
        for library in (diffusers, transformers):
            library.utils.logging.set_verbosity_error()
        made = models.in_memory(
            true_size=not self._machine.tiny,
            device=self._machine.device,
            dtype=getattr(torch, self._dtype),
        )
        # Random weights may end a caption at its first word; let every one take its 20 tokens.
        made.captioner.language_model.generation_config.eos_token_id = None
        return made

    def forget(self) -> None:
        """Gives the memory of the models back."""
        self.__dict__.pop("_foundation", None)

    def _line(
        self,
        unit: str,
        model: str,
        side: int,
        amount: int,
        works: tuple[Work, Work | None],
        seconds: float,
    ) -> Line:
        """`works`: ours and bare."""
        size = f"{'small replica' if self._machine.tiny else model} {side}"
        return self._machine.measure(unit, size, self._dtype, amount, *works, seconds)

    def _images(self, count: int, side: int) -> torch.Tensor:
        draw = torch.Generator().manual_seed(0)
        return torch.randint(256, (count, 3, side, side), generator=draw, dtype=torch.uint8)

    def sampled(self, seconds: float) -> Iterator[Line]:
        """One batch of images, all of it: prompts, denoising with guidance, decoding, scaling."""
        yield self._sampled("sampled", seconds)

    def sampled_tuned(self, seconds: float) -> Iterator[Line]:
        """The same with an adapter, as a client's own tuned model draws; with it in both."""
        settings, side = self._settings.lora, self._foundation.image_side
        lesson = tuning.Lesson(self._images(1, side), [WORD], None)
        once = settings.model_copy(update={"steps": 1, "batch_size": 1})
        with tempfile.TemporaryDirectory() as folder:
            tuning.tune(self._foundation, lesson, None, once, Path(folder), (0, "bench"))
            with tuning.with_adapter(self._foundation, Path(folder), settings.strength):
                yield self._sampled("sampled, tuned", seconds)

    def _sampled(self, unit: str, seconds: float) -> Line:
        settings, pipeline = self._settings.synthesis, self._foundation.pipeline
        prompts = [conditions.vanilla_prompt(settings.prompt, WORD)] * settings.batch_size

        def ours() -> None:
            seeds = [(0, "bench", number) for number in range(len(prompts))]
            generation.sample(self._foundation, prompts, None, seeds, settings, side=self._side)

        @torch.inference_mode()
        def bare() -> None:
            with generation.scheduled(pipeline, settings.scheduler):
                pipeline(
                    prompts,
                    num_inference_steps=settings.sampling_steps,
                    guidance_scale=settings.guidance,
                    generator=[torch.Generator().manual_seed(n) for n in range(len(prompts))],
                    output_type="pt",
                )

        side = self._foundation.image_side
        return self._line(unit, DIFFUSION, side, len(prompts), (ours, bare), seconds)

    def tuned(self, seconds: float) -> Iterator[Line]:
        """LoRA: images and prompts encoded, then steps; the adapter is written by ours alone."""
        settings, side = self._settings.lora, self._foundation.image_side
        images = self._images(self._amounts.lessons, side)
        tokens = F.normalize(torch.ones(len(images), self._width), dim=1)
        prompts = [conditions.multimodal_prompt(WORD, "on a table")] * len(images)
        lesson = tuning.Lesson(images, prompts, tokens)

        def ours() -> None:
            with tempfile.TemporaryDirectory() as folder:
                tuning.tune(self._foundation, lesson, None, settings, Path(folder), (0, "bench"))

        def bare() -> None:
            bare_tuning(self._foundation, lesson, settings)

        amount = settings.steps * settings.batch_size
        yield self._line("tuned", DIFFUSION, side, amount, (ours, bare), seconds)

    @property
    def _width(self) -> int:
        return self._foundation.image_encoder.config.projection_dim

    def passes(self, seconds: float) -> Iterator[Line]:
        """What sampling and tuning are made of: passes of the U-Net, forward, and of the VAE."""
        pipeline, many = self._foundation.pipeline, self._settings.synthesis.batch_size
        unet, vae, side = pipeline.unet, pipeline.vae, self._foundation.image_side
        place = {"device": self._machine.device, "dtype": getattr(torch, self._dtype)}
        length = pipeline.tokenizer.model_max_length
        latents = torch.randn(many, 4, unet.config.sample_size, unet.config.sample_size, **place)
        states = torch.randn(2 * many, length, unet.config.cross_attention_dim, **place)
        pixels = torch.randn(many, 3, side, side, **place)
        t = torch.full((2 * many,), 500, device=place["device"])
        works = {
            "denoised": (2 * many, lambda: unet(latents.repeat(2, 1, 1, 1), t, states)),
            "decoded": (many, lambda: vae.decode(latents)),
            "encoded": (many, lambda: vae.encode(pixels)),
        }
        for unit, (amount, work) in works.items():
            alone = torch.inference_mode()(work), None
            yield self._line(unit, DIFFUSION, side, amount, alone, seconds / len(works))

    def embedded(self, seconds: float) -> Iterator[Line]:
        """Image features; bare is the encoder alone, on images that are ready on the device."""
        images = self._images(self._amounts.features, self._side)
        ready = self._ready(self._foundation.image_processor, images)
        works = (
            lambda: conditions.features(self._foundation, images),
            torch.inference_mode()(lambda: self._foundation.image_encoder(**ready)),
        )
        model = "clip-vit-large-patch14"
        yield self._line("embedded", model, self._side, len(images), works, seconds)

    def captioned(self, seconds: float) -> Iterator[Line]:
        """Captions; bare is the captioner alone, as above."""
        images = self._images(self._amounts.captions, self._side)
        ready = self._ready(self._foundation.caption_processor, images)
        bare = {"do_sample": False, "max_new_tokens": 20}
        works = (
            lambda: conditions.captions(self._foundation, images, (WORD,)),
            lambda: self._foundation.captioner.generate(**ready, **bare),
        )
        yield self._line("captioned", "blip2-opt-2.7b", self._side, len(images), works, seconds)

    def _ready(self, processor, images: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """`images` as `processor` prepares them, on the device."""
        inputs = processor(images=list(images), return_tensors="pt")
        return inputs.to(self._machine.device, getattr(torch, self._dtype))


def bare_tuning(foundation: Foundation, lesson: tuning.Lesson, settings) -> None:
    """The passes of `tuning.tune` as training scripts write them; all is drawn on the device."""
    pipeline, device = foundation.pipeline, foundation.device
    unet, vae, tokenizer = pipeline.unet, pipeline.vae, pipeline.tokenizer
    schedule = diffusers.DDPMScheduler.from_config(pipeline.scheduler.config)
    with torch.no_grad():
        pixels = lesson.images.to(device, foundation.dtype) / 127.5 - 1
        latents = torch.cat(
            [vae.encode(part).latent_dist.mode() for part in pixels.split(64)]
        ).float()
        latents = latents * vae.config.scaling_factor
        words = tokenizer(
            list(lesson.prompts), padding="max_length", truncation=True, return_tensors="pt"
        )
        states = pipeline.text_encoder(words.input_ids.to(device)).last_hidden_state
        states = torch.cat([states, lesson.tokens.to(states)[:, None]], dim=1)
    unet.add_adapter(
        LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules=list(tuning.TARGETS))
    )
    try:
        cast_training_params(unet, torch.float32)
        mixed = torch.autocast(device.type, torch.bfloat16, enabled=unet.dtype == torch.bfloat16)
        adapter = [p for p in unet.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(adapter, lr=settings.rate)
        for _ in range(settings.steps):
            index = torch.randint(len(latents), (settings.batch_size,), device=device)
            clean, noise = latents[index], torch.randn_like(latents[index])
            t = torch.randint(1000, (settings.batch_size,), device=device)
            with mixed:
                output = unet(schedule.add_noise(clean, noise, t), t, states[index]).sample
            loss = F.mse_loss(output.float(), noise.float())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    finally:  # the lines that follow are of the U-Net without it
        unet.unload_lora()
        unet.requires_grad_(False)
