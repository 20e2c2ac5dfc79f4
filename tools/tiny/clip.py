"""CLIP: a text and an image encoder trained together, contrastively (Radford et al. 2021)."""

from pathlib import Path

import torch
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
)

from regl_core.seeds import torch_generator

from .loop import seeded, train
from .type import SIDE, World
from .vae import pixels
from .words import MAX_TOKENS, clip_vocabulary, describe, prompts

WIDTH = 96  # of the text states and of the shared space, equal as in CLIP ViT-L/14 (768)


def make_tokenizer() -> CLIPTokenizer:
    vocabulary, merges = clip_vocabulary()
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)


def tokens(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids (n, MAX_TOKENS), padded as the diffusion pipeline pads them."""
    return tokenizer(
        texts,
        padding="max_length",
        truncation=True,
        max_length=MAX_TOKENS,
        return_tensors="pt",
    ).input_ids


def train_clip(world: World, tokenizer: CLIPTokenizer, steps: int, folder: Path) -> CLIPModel:
    """Contrastive training on images and prompts that say all, some or none of them."""
    sheets, per_sheet, copies = world.images.shape[:3]

    def build() -> CLIPModel:
        ends = {
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        text = CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=MAX_TOKENS,
            **ends,
        )
        vision = CLIPVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=4,
            num_attention_heads=4,
            image_size=SIDE,
            patch_size=4,
        )
        return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))

    def loss(clip: CLIPModel, step: int) -> torch.Tensor:
        generator = torch_generator("clip", step)
        sheet = torch.randperm(sheets, generator=generator)[:192]
        slot = torch.randint(per_sheet, sheet.shape, generator=generator)
        copy = torch.randint(copies, sheet.shape, generator=generator)
        texts = prompts(world.classes[sheet, slot], describe(world.style[sheet]), generator)
        output = clip(
            input_ids=tokens(tokenizer, texts),
            pixel_values=pixels(world.images[sheet, slot, copy]),
        )
        # Prompts that say the same share their images: the target is uniform over them.
        same = torch.tensor([[a == b for b in texts] for a in texts], dtype=torch.float32)
        target = same / same.sum(1, keepdim=True)
        similarity = output.logits_per_text
        return (
            nn.functional.cross_entropy(similarity, target)
            + nn.functional.cross_entropy(similarity.T, target)
        ) / 2

    return train("clip", seeded(build, "clip"), loss, steps=steps, rate=1e-3, folder=folder)


@torch.no_grad()
def image_features(clip: CLIPModel, images: torch.Tensor) -> torch.Tensor:
    """Unit image features (n, WIDTH) of uint8 images (n, 3, SIDE, SIDE)."""
    parts = []
    for part in images.split(2048):
        pooled = clip.vision_model(pixel_values=pixels(part)).pooler_output
        parts.append(nn.functional.normalize(clip.visual_projection(pooled), dim=1))
    return torch.cat(parts)
