"""Files of models as the hub has them: written by older versions of the libraries than ours.

Who reads only what today's libraries write has not shown that it can read what is published.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

POSITIONS = 77  # of a text
OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def text_encoder(folder: Path) -> None:
    """All names begin with text_model, and positions are listed among the weights."""
    positions = {"text_model.embeddings.position_ids": torch.arange(POSITIONS)[None]}
    _renamed(folder / "model.safetensors", lambda name: f"text_model.{name}", positions)


def autoencoder(folder: Path) -> None:
    """The attention's layers have other names."""

    def old(name: str) -> str:
        for new, before in OLD_ATTENTION.items():
            name = name.replace(f".attentions.0.{new}.", f".attentions.0.{before}.")
        return name

    _renamed(folder / "diffusion_pytorch_model.safetensors", old, {})


def clip(folder: Path, side: int, in_short: bool) -> None:
    """Positions are listed among the weights; settings of images are in an older form.

    in_short : the widths of the features stand beside both encoders' settings alone, as
        OpenCLIP's do; else sizes of images are plain numbers, as with the first CLIP
    """
    file = folder / "model.safetensors"
    with safe_open(file, framework="pt") as weights:
        patches = weights.get_slice("vision_model.embeddings.position_embedding.weight")
        count = patches.get_shape()[0]
    positions = {
        "text_model.embeddings.position_ids": torch.arange(POSITIONS)[None],
        "vision_model.embeddings.position_ids": torch.arange(count)[None],
    }
    _renamed(file, lambda name: name, positions)
    config = _read(folder / "config.json")
    images = _read(folder / "preprocessor_config.json")
    images["feature_extractor_type"] = "CLIPFeatureExtractor"
    del images["image_processor_type"]
    if in_short:
        for encoder in ("text_config", "vision_config"):
            config[encoder].pop("projection_dim", None)
    else:
        images |= {"size": side, "crop_size": side}
    _write(folder / "config.json", config)
    _write(folder / "preprocessor_config.json", images)


def tokenizer(folder: Path, vocabulary: Mapping[str, int], merges: list[tuple[str, str]]) -> None:
    """A byte-pair tokenizer in the files before tokenizer.json, special tokens spelt out."""
    (folder / "tokenizer.json").unlink()
    _write(folder / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    settings = _read(folder / "tokenizer_config.json")
    names = ("bos_token", "eos_token", "unk_token")
    spelt = {name: _token(settings[name], normalized=True) for name in names}
    typed = {name: {"__type": "AddedToken", **token} for name, token in spelt.items()}
    kept = {name: settings[name] for name in ("model_max_length", "pad_token", "tokenizer_class")}
    older = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace"}
    _write(folder / "tokenizer_config.json", {**older, **kept, **typed})
    _write(folder / "special_tokens_map.json", {**spelt, "pad_token": kept["pad_token"]})


def captioner(folder: Path, image_token: int) -> None:
    """Settings of images in a file of their own; the token for the image is spelt out twice."""
    processor = _read(folder / "processor_config.json")
    images = processor.pop("image_processor")
    _write(folder / "preprocessor_config.json", {**images, "processor_class": "Blip2Processor"})
    token = _token("<image>", normalized=False)
    _write(
        folder / "processor_config.json", {**processor, "image_token": {**token, "special": True}}
    )
    settings = _read(folder / "tokenizer_config.json")
    decoder = {str(image_token): {**token, "special": True}}
    added = {"add_bos_token": True, "added_tokens_decoder": decoder}
    _write(folder / "tokenizer_config.json", {**settings, **added})


def pipeline(folder: Path) -> None:
    """The filter of finished images is named; it need not be there."""
    index = _read(folder / "model_index.json")
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    _write(folder / "model_index.json", index)
    schedule = _read(folder / "scheduler" / "scheduler_config.json")
    _write(folder / "scheduler" / "scheduler_config.json", {**schedule, "clip_sample": False})


def _token(content: str, normalized: bool) -> dict[str, Any]:
    plain = {"lstrip": False, "rstrip": False, "single_word": False}
    return {"content": content, "normalized": normalized, **plain}


def _renamed(file: Path, rename: Callable[[str], str], more: Mapping[str, torch.Tensor]) -> None:
    weights = {rename(name): tensor for name, tensor in load_file(file).items()}
    save_file({**weights, **more}, file, metadata={"format": "pt"})


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2))
