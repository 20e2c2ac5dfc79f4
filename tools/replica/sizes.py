"""Sizes of the published models, and of replicas small enough for a CPU."""

from dataclasses import dataclass
from typing import Any, Literal

Like = Literal["1.5", "2.1", "2.1-v"]  # 2.1: 2.1-base, which predicts noise; 2.1-v: velocity


@dataclass(frozen=True)
class Sizes:
    """What differs in size and nothing else; "like" is a version of Stable Diffusion."""

    side: int  # pixels of an image
    unet: dict[str, Any]
    vae: dict[str, Any]
    text: dict[Like, dict[str, Any]]  # text encoder
    heads: dict[Like, int | list[int]]  # of the U-Net's blocks
    vision: dict[Like, dict[str, Any]]  # CLIP's image encoder
    caption_vision: dict[str, Any]
    caption_query: dict[str, Any]
    caption_text: dict[str, Any]
    queries: int


# Stable Diffusion (Rombach et al. 2022) 1.5 and 2.1, CLIP ViT-L/14 and OpenCLIP ViT-H/14, BLIP-2
# with OPT of 2.7 billion parameters: the numbers of their published configurations.
TRUE = Sizes(
    side=512,
    unet={"block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2},
    vae={"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2},
    text={
        "1.5": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                "num_attention_heads": 12, "vocab_size": 49408},
        "2.1": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23,
                "num_attention_heads": 16, "vocab_size": 49408},
    },
    heads={"1.5": 8, "2.1": [5, 10, 20, 20]},
    vision={
        "1.5": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
                "num_attention_heads": 16, "image_size": 224, "patch_size": 14},
        "2.1": {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32,
                "num_attention_heads": 16, "image_size": 224, "patch_size": 14},
    },
    caption_vision={"hidden_size": 1408, "intermediate_size": 6144, "num_hidden_layers": 39,
                    "num_attention_heads": 16, "image_size": 224, "patch_size": 14,
                    "initializer_range": 0.02},
    caption_query={"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                   "num_attention_heads": 12, "vocab_size": 30523},
    caption_text={"hidden_size": 2560, "ffn_dim": 10240, "num_hidden_layers": 32,
                  "num_attention_heads": 32, "vocab_size": 50304, "word_embed_proj_dim": 2560,
                  "max_position_embeddings": 2048},
    queries=32,
)  # fmt: skip
SMALL = Sizes(
    side=64,
    unet={"block_out_channels": (16, 16, 32, 32), "layers_per_block": 1, "norm_num_groups": 8},
    vae={"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4},
    text={
        "1.5": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                "num_attention_heads": 2, "vocab_size": 1600},
        "2.1": {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
                "num_attention_heads": 3, "vocab_size": 1600},
    },
    heads={"1.5": 2, "2.1": [1, 1, 2, 2]},
    vision={
        "1.5": {"hidden_size": 40, "intermediate_size": 80, "num_hidden_layers": 2,
                "num_attention_heads": 2, "image_size": 28, "patch_size": 14},
        "2.1": {"hidden_size": 40, "intermediate_size": 80, "num_hidden_layers": 2,
                "num_attention_heads": 2, "image_size": 28, "patch_size": 14},
    },
    caption_vision={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                    "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
                    "initializer_range": 0.02},
    caption_query={"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2,
                   "num_attention_heads": 2, "vocab_size": 64},
    caption_text={"hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2,
                  "num_attention_heads": 2, "vocab_size": 1600, "word_embed_proj_dim": 32,
                  "max_position_embeddings": 96},
    queries=4,
)  # fmt: skip
