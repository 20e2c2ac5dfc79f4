"""Stable Diffusion, CLIP and BLIP-2 of the real classes in the hub's layout, weights random.

They have all of the originals' structure and none of their knowledge: their images are noise and
their captions letters. Small ones (some 100,000 parameters) test the code that runs the originals;
ones of true size measure what it costs. Weights come from a fixed seed: on one kind of device they
are always the same.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from torch import nn
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
    GPT2Tokenizer,
)

from regl_core import foundation
from regl_core.foundation import Foundation

from ..tiny.words import clip_vocabulary
from . import published
from .sizes import SMALL, TRUE, Like, Sizes

CPU = torch.device("cpu")
NOISE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
SHARD = "200KB"  # the published BLIP-2 comes in several files


def stable_diffusion(
    folder: Path, like: Like = "1.5", true_size: bool = False, side: int | None = None
) -> Path:
    """Writes Stable Diffusion to `folder`, which is returned. side: pixels of its images."""
    _pipeline(like, _sizes(true_size), side).save_pretrained(folder, safe_serialization=True)
    published.text_encoder(folder / "text_encoder")
    published.autoencoder(folder / "vae")
    published.tokenizer(folder / "tokenizer", *clip_vocabulary())
    published.pipeline(folder)
    return folder


def clip(folder: Path, like: Like = "1.5", true_size: bool = False) -> Path:
    """Writes the CLIP whose image features have the width of `like`'s condition to `folder`."""
    sizes = _sizes(true_size)
    _seeded(lambda: CLIPModel(_clip_config(like, sizes))).save_pretrained(folder)
    images = _image_processor(like, sizes)
    images.save_pretrained(folder)
    _tokenizer(like).save_pretrained(folder)
    published.clip(folder, images.size["shortest_edge"], in_short=like != "1.5")
    return folder


def blip2(folder: Path, true_size: bool = False) -> Path:
    """Writes BLIP-2 with its processor to `folder`, which is returned."""
    sizes = _sizes(true_size)
    model = _seeded(lambda: _blip2(sizes))
    model.save_pretrained(folder, max_shard_size="5GB" if true_size else SHARD)
    _caption_processor(sizes).save_pretrained(folder)
    published.captioner(folder, model.config.image_token_index)
    return folder


def in_memory(
    like: Like = "1.5",
    true_size: bool = False,
    side: int | None = None,
    device: torch.device = CPU,
    dtype: torch.dtype = torch.float32,
) -> Foundation:
    """A foundation that was never written: made on `device` in `dtype`, ready to use.

    At true size in bfloat16 it takes 2 GB for Stable Diffusion 1.5, 1 GB for CLIP and 8 GB for
    BLIP-2.
    """
    sizes = _sizes(true_size)
    with torch.device(device):
        parts = {
            "pipeline": _pipeline(like, sizes, side, dtype),
            "image_encoder": _seeded(
                lambda: CLIPVisionModelWithProjection(_clip_config(like, sizes).vision_config),
                dtype,
            ),
            "image_processor": _image_processor(like, sizes),
            "captioner": _seeded(lambda: _blip2(sizes), dtype),
            "caption_processor": _caption_processor(sizes),
        }
    # Not within: the sampler's own noise levels belong on the CPU, where it computes with numpy.
    return foundation.frozen(foundation.Foundation(**parts), device)


def _sizes(true_size: bool) -> Sizes:
    return TRUE if true_size else SMALL


def _seeded(
    build: Callable[[], nn.Module], dtype: torch.dtype = torch.float32, seed: int = 0
) -> nn.Module:
    """What `build` makes, in `dtype` from the start: half of the memory is half of the memory."""
    before = torch.get_default_dtype()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_default_dtype(dtype)
        try:
            return build().eval()
        finally:
            torch.set_default_dtype(before)


def _of(table: dict, like: Like):
    return table["1.5" if like == "1.5" else "2.1"]


def _pipeline(
    like: Like, sizes: Sizes, side: int | None, dtype: torch.dtype = torch.float32
) -> StableDiffusionPipeline:
    side, text = side or sizes.side, _of(sizes.text, like)
    new = like != "1.5"
    prediction = "v_prediction" if like == "2.1-v" else "epsilon"
    # The first one and the one for 512 pixels came with PNDM, the one for 768 with DDIM.
    if like == "2.1-v":
        scheduler = DDIMScheduler(**NOISE, clip_sample=False, prediction_type=prediction)
    else:
        scheduler = PNDMScheduler(**NOISE, skip_prk_steps=True, prediction_type=prediction)
    return StableDiffusionPipeline(
        vae=_seeded(
            lambda: AutoencoderKL(
                sample_size=side,
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                latent_channels=4,
                **sizes.vae,
            ),
            dtype,
        ),
        unet=_seeded(
            lambda: UNet2DConditionModel(
                sample_size=side // 8,
                cross_attention_dim=text["hidden_size"],
                attention_head_dim=_of(sizes.heads, like),
                use_linear_projection=new,
                upcast_attention=like == "2.1-v",
                **sizes.unet,
            ),
            dtype,
        ),
        text_encoder=_seeded(lambda: CLIPTextModel(_text_config(like, sizes)), dtype),
        tokenizer=_tokenizer(like),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _text_config(like: Like, sizes: Sizes) -> CLIPTextConfig:
    return CLIPTextConfig(
        **_of(sizes.text, like),
        hidden_act="quick_gelu" if like == "1.5" else "gelu",
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )


def _clip_config(like: Like, sizes: Sizes) -> CLIPConfig:
    text = _text_config(like, sizes).to_dict()
    width = text["hidden_size"]
    vision = {**_of(sizes.vision, like), "hidden_act": text["hidden_act"], "projection_dim": width}
    text["projection_dim"] = width
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=width)


def _tokenizer(like: Like) -> CLIPTokenizer:
    vocabulary, merges = clip_vocabulary()
    pad = {} if like == "1.5" else {"pad_token": "!"}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77, **pad)


def _image_processor(like: Like, sizes: Sizes) -> CLIPImageProcessor:
    side = _of(sizes.vision, like)["image_size"]
    return CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )


def _caption_vocabulary() -> dict[str, int]:
    """OPT's special tokens at OPT's places, every byte, the image token."""
    from tokenizers import pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *alphabet, "<image>"]
    return {token: number for number, token in enumerate(tokens)}


def _caption_processor(sizes: Sizes) -> Blip2Processor:
    side = sizes.caption_vision["image_size"]
    tokenizer = GPT2Tokenizer(
        vocab=_caption_vocabulary(),
        merges=[],
        bos_token="</s>",
        eos_token="</s>",
        unk_token="</s>",
        pad_token="<pad>",
        model_max_length=sizes.caption_text["max_position_embeddings"],
    )
    return Blip2Processor(
        BlipImageProcessor(size={"height": side, "width": side}),
        tokenizer,
        num_query_tokens=sizes.queries,
    )


def _blip2(sizes: Sizes) -> Blip2ForConditionalGeneration:
    vocabulary = _caption_vocabulary()
    return Blip2ForConditionalGeneration(
        Blip2Config(
            vision_config=sizes.caption_vision,
            qformer_config=sizes.caption_query,
            text_config={
                "model_type": "opt",
                **sizes.caption_text,
                "bos_token_id": vocabulary["</s>"],
                "pad_token_id": vocabulary["<pad>"],
                "eos_token_id": vocabulary["Ċ"],  # a line break ends a caption, as in the original
            },
            num_query_tokens=sizes.queries,
            image_token_index=vocabulary["<image>"],
        )
    )
