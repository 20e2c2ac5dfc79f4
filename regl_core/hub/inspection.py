"""Whether models are of the kinds that are known here and fit each other, told from settings."""

import json
from pathlib import Path
from typing import Any

from ..errors import ReglError
from .layouts import LAYOUTS
from .sources import Part, Sources

PIPELINE = "StableDiffusionPipeline"
ENCODERS = ("clip", "clip_vision_model")
CAPTIONERS = ("blip", "blip-2")


def unfit(sources: Sources, visual_token: bool) -> list[str]:
    """What is wrong with those of the models that are here, a line each.

    `visual_token`: whether a feature of the image encoder stands among the states of a text.
    """
    settings = {part.kind: (part, _settings(part)) for part in sources.parts()}
    found = []
    for kind, check in (
        ("stable-diffusion", _drawing),
        ("image-encoder", _seeing),
        ("captioner", _saying),
    ):
        part, own = settings[kind]
        if own and (wrong := check(own)):
            found.append(f"{part.key}: {part.name} is {wrong}")
    (part, own), (seeing, its) = settings["stable-diffusion"], settings["image-encoder"]
    unet = _json(part.folder() / "unet" / "config.json") if own else {}
    if visual_token and unet and its:
        condition, feature = unet.get("cross_attention_dim", 1280), _width(its)
        if condition != feature:
            found.append(
                f"{seeing.key}: the image features of {seeing.name} have {feature} numbers, "
                f"expected {condition} as the condition of {part.name} has; name the CLIP whose "
                "text encoder that is (1.5: ViT-L/14, 2.1: OpenCLIP ViT-H/14), or set "
                "lora.visual_token to false"
            )
    return found


def _settings(part: Part) -> dict[str, Any]:
    """What the file says without which nothing is there; empty if it cannot be read."""
    try:
        return _json(part.folder() / LAYOUTS[part.kind].entry)
    except ReglError:
        return {}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _drawing(settings: dict[str, Any]) -> str | None:
    kind = settings.get("_class_name")
    return None if kind == PIPELINE else f"a {kind}, expected a {PIPELINE}: 1.x, or 2.x"


def _seeing(settings: dict[str, Any]) -> str | None:
    kind = settings.get("model_type")
    return (
        None if kind in ENCODERS else f"of the type {kind}, expected CLIP ({' or '.join(ENCODERS)})"
    )


def _saying(settings: dict[str, Any]) -> str | None:
    kind = settings.get("model_type")
    if kind not in CAPTIONERS:
        return f"of the type {kind}, expected {' or '.join(CAPTIONERS)}"
    if kind == "blip-2" and settings.get("image_token_index") is None:
        return "a BLIP-2 without image_token_index: of an early revision, take a later one"
    return None


def _width(settings: dict[str, Any]) -> int:
    """Of the image feature, as `foundation.opened` finds it; 512 is the library's own."""
    return settings.get("projection_dim", 512)
