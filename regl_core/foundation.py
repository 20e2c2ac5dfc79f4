"""The frozen foundation models: text-to-image, image encoder, captioner.

Any Stable Diffusion, CLIP and BLIP or BLIP-2 in the hub's layout will do, by path or, where it lies
in the hub's local cache, by id; "tiny" names the ones shipped in this package. Nothing is ever
downloaded here. Nothing after `load` knows which it got.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .errors import ReglError
from .hub import Sources
from .params import FoundationSettings

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline


@dataclass(frozen=True)
class Foundation:
    """Frozen models, in eval mode, on one device."""

    pipeline: "StableDiffusionPipeline"
    image_encoder: torch.nn.Module  # a CLIPVisionModelWithProjection
    image_processor: Any  # the image encoder's and the captioner's, as transformers makes them
    captioner: torch.nn.Module  # a BLIP or BLIP-2
    caption_processor: Any

    @property
    def device(self) -> torch.device:
        return self.pipeline.unet.device

    @property
    def dtype(self) -> torch.dtype:
        return self.pipeline.unet.dtype

    def finite(self, values: torch.Tensor, what: str) -> torch.Tensor:
        """`values`, once they have been seen to be finite: no NaN may become a picture or a number.

        Raises ReglError that names `what` they are, the model and its number format.
        """
        if not torch.isfinite(values).all():
            raise ReglError(
                f"{what}: the foundation {self.pipeline.name_or_path} gave NaN or "
                f"infinity in {str(self.dtype).removeprefix('torch.')}; its weights are damaged, "
                "or foundation.dtype is too coarse for it: try float32. Of a tuned model, lower "
                "lora.rate or lora.strength"
            )
        return values

    @property
    def image_side(self) -> int:
        """Side, in pixels, of the images the text-to-image model makes."""
        return self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor


def load(settings: FoundationSettings) -> Foundation:
    """The foundation that `settings` name, frozen, on its device.

    Raises ReglError for a missing or altered file, or a device that is not there.
    """
    return opened(Sources(settings).folders(), settings.dtype, settings.device)


def opened(folders: Sequence[Path], dtype: str, device: str) -> Foundation:
    """The foundation in three folders: text-to-image model, image encoder and captioner."""
    # Ten seconds of imports, which only a process that loads models should pay.
    import diffusers
    import transformers

    # The one progress bar is that of all runs, and a warning about a cast that does nothing
    # would come with every client.
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    where = pick_device(device)
    drawing, seeing, saying = folders
    local = {"local_files_only": True, "trust_remote_code": False}
    how = {"dtype": getattr(torch, dtype), "use_safetensors": True, **local}
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        drawing,
        **how,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    # A whole CLIP's settings can name the width of its features once, for both its encoders.
    config = transformers.AutoConfig.from_pretrained(seeing, **local)
    if hasattr(config, "vision_config"):
        config.vision_config.projection_dim = config.projection_dim
        config = config.vision_config
    return frozen(
        Foundation(
            pipeline,
            transformers.CLIPVisionModelWithProjection.from_pretrained(
                seeing, config=config, **how
            ),
            transformers.AutoImageProcessor.from_pretrained(seeing, **local),
            transformers.AutoModelForImageTextToText.from_pretrained(saying, **how),
            transformers.AutoProcessor.from_pretrained(saying, **local),
        ),
        where,
    )


def frozen(foundation: Foundation, device: torch.device) -> Foundation:
    """The same models, now on `device`, in eval mode, without gradients."""
    pipeline = foundation.pipeline
    pipeline.set_progress_bar_config(disable=True)
    for model in (
        *(pipeline.unet, pipeline.vae, pipeline.text_encoder),
        *(foundation.image_encoder, foundation.captioner),
    ):
        model.requires_grad_(False).eval().to(device)
    # Tuning and sampling take about a tenth less time on a CPU; tensor cores want it too.
    pipeline.unet.to(memory_format=torch.channels_last)
    pipeline.to(device)
    return foundation


def problems(settings: FoundationSettings, visual_token: bool = True) -> list[str]:
    """What keeps the foundation from being used, a line each with what to do; empty if nothing.

    It is told from names of files, settings and headers: no weights are read. `visual_token`:
    whether image features enter the text-to-image model, as `lora.visual_token` says.
    """
    found = Sources(settings).problems(visual_token)
    try:
        pick_device(settings.device)
    except ReglError as error:
        found.append(f"foundation.{error}")
    return found


def pick_device(name: str) -> torch.device:
    """The device called `name`; "auto" is a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ReglError(
            'device: "cuda" was asked for and no GPU is available here; set "cpu" or "auto"'
        )
    return torch.device(name)
