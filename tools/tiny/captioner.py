"""BLIP: says what an image of type looks like, not what it shows."""

from pathlib import Path

import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipTextConfig,
    BlipVisionConfig,
)

from regl_core.seeds import torch_generator

from .loop import seeded, train
from .type import SIDE, World
from .vae import pixels
from .words import bert_vocabulary, describe

WIDTH = 96


def make_tokenizer() -> BertTokenizer:
    return BertTokenizer(vocab=bert_vocabulary(), model_max_length=16, bos_token="[DEC]")


def train_captioner(
    world: World, tokenizer: BertTokenizer, steps: int, folder: Path
) -> BlipForConditionalGeneration:
    """Next-word training on (image, caption) pairs."""
    sheets, per_sheet, copies = world.images.shape[:3]
    start, end = tokenizer.convert_tokens_to_ids(["[DEC]", "[SEP]"])

    def build() -> BlipForConditionalGeneration:
        text = BlipTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            encoder_hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=16,
            bos_token_id=start,
            eos_token_id=end,
            sep_token_id=end,
            pad_token_id=0,
        )
        vision = BlipVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            image_size=SIDE,
            patch_size=4,
            initializer_range=0.02,
        )
        return BlipForConditionalGeneration(
            BlipConfig(
                text_config=text,
                vision_config=vision,
                projection_dim=WIDTH,
                image_text_hidden_size=WIDTH,
            )
        )

    def loss(blip: BlipForConditionalGeneration, step: int) -> torch.Tensor:
        generator = torch_generator("captioner", step)
        sheet = torch.randint(sheets, (96,), generator=generator)
        slot = torch.randint(per_sheet, sheet.shape, generator=generator)
        copy = torch.randint(copies, sheet.shape, generator=generator)
        encoded = tokenizer(describe(world.style[sheet]), padding=True, return_tensors="pt")
        ids = encoded.input_ids
        ids[:, 0] = start  # BLIP's decoder begins with [DEC] where BERT writes [CLS]
        output = blip(
            pixel_values=pixels(world.images[sheet, slot, copy]),
            input_ids=ids,
            attention_mask=encoded.attention_mask,
            labels=ids.masked_fill(encoded.attention_mask == 0, -100),
        )
        return output.loss

    return train(
        "captioner",
        seeded(build, "captioner"),
        loss,
        steps=steps,
        rate=1e-3,
        folder=folder,
    )
