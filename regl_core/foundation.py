"""The frozen foundation models: text-to-image, image encoder, captioner.

Any Stable Diffusion, CLIP and BLIP or BLIP-2 in the hub's layout will do, by path or, where it lies
in the hub's local cache, by id; "tiny" names the ones shipped in this package. Nothing is ever
downloaded here. Nothing after `load` knows which it got.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from .errors import ReglError
from .params import FoundationSettings
from .sources import PARTS, folders

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

    @property
    def image_side(self) -> int:
        """Side, in pixels, of the images the text-to-image model makes."""
        return self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor


def load(settings: FoundationSettings) -> Foundation:
    """The foundation, frozen, on its device.

    Raises ReglError for a missing or altered file, or a device that is not there.
    """
    # Ten seconds of imports, which only a process that loads models should pay.
    import diffusers
    import transformers

    # The one progress bar is that of all runs, and a warning about a cast that does nothing
    # would come with every client.
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    device = pick_device(settings.device)
    where = dict(zip(PARTS, folders(settings), strict=True))
    local = {"local_files_only": True}
    how = {"dtype": getattr(torch, settings.dtype), "use_safetensors": True, **local}
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        where["stable-diffusion"],
        **how,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    # A whole CLIP's settings can name the width of its features once, for both its encoders.
    seen, said = where["image-encoder"], where["captioner"]
    config = transformers.AutoConfig.from_pretrained(seen, **local)
    if hasattr(config, "vision_config"):
        config.vision_config.projection_dim = config.projection_dim
        config = config.vision_config
    return frozen(
        pipeline=pipeline,
        image_encoder=transformers.CLIPVisionModelWithProjection.from_pretrained(
            seen, config=config, **how
        ),
        image_processor=transformers.AutoImageProcessor.from_pretrained(seen, **local),
        captioner=transformers.AutoModelForImageTextToText.from_pretrained(said, **how),
        caption_processor=transformers.AutoProcessor.from_pretrained(said, **local),
        device=device,
    )


def frozen(
    *,
    pipeline: "StableDiffusionPipeline",
    image_encoder: torch.nn.Module,
    image_processor: Any,
    captioner: torch.nn.Module,
    caption_processor: Any,
    device: torch.device,
) -> Foundation:
    """These models as a foundation: on `device`, in eval mode, without gradients."""
    pipeline.set_progress_bar_config(disable=True)
    for model in (pipeline.unet, pipeline.vae, pipeline.text_encoder, image_encoder, captioner):
        model.requires_grad_(False).eval().to(device)
    # Tuning and sampling take about a tenth less time on a CPU; tensor cores want it too.
    pipeline.unet.to(memory_format=torch.channels_last)
    return Foundation(
        pipeline=pipeline.to(device),
        image_encoder=image_encoder,
        image_processor=image_processor,
        captioner=captioner,
        caption_processor=caption_processor,
    )


def pick_device(name: str) -> torch.device:
    """The device called `name`; "auto" is a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ReglError(
            'device: "cuda" was asked for and no GPU is available here; set "cpu" or "auto"'
        )
    return torch.device(name)
