"""The frozen foundation models: text-to-image, image encoder, captioner.

Any Stable Diffusion, CLIP and BLIP in the hub's folder layout will do, by hub id or by path;
"tiny" names the ones shipped in this package. Nothing after `load` knows which it got.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .errors import ReglError
from .params import FoundationSettings

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

SHIPPED = Path(__file__).parent / "weights"
PARTS = ("stable-diffusion", "image-encoder", "captioner")
SUMS = "SHA256SUMS"


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


def sources(settings: FoundationSettings) -> tuple[str, ...]:
    """Where the three models of PARTS come from: a folder's absolute path or a hub id each.

    Raises ReglError where a part is not named, or a path does not exist.
    """
    shipped = SHIPPED / settings.name
    if shipped.parent == SHIPPED and shipped.is_dir():
        verify(shipped)
        return tuple(str(shipped / part) for part in PARTS)
    named = (settings.name, settings.image_encoder, settings.captioner)
    found = []
    for part, name in zip(PARTS, named, strict=True):
        if name is None:
            raise ReglError(
                f"foundation: the {part} of {settings.name!r} is not named; "
                "set foundation.image_encoder and foundation.captioner to a hub id or a folder"
            )
        # A relative folder that does not exist would be taken for a hub id.
        folder = Path(name).expanduser()
        if folder.is_dir():
            found.append(str(folder.resolve()))
        elif name.count("/") == 1 and not name.startswith((".", "~", "/")):
            found.append(name)
        else:
            raise ReglError(
                f"foundation: {name!r} ({part}) is neither a folder nor a hub id (owner/name); "
                f"shipped: {', '.join(sorted(p.name for p in SHIPPED.iterdir()))}"
            )
    return tuple(found)


def verify(folder: Path) -> None:
    """Check every file of a shipped foundation against its list of checksums.

    Raises ReglError naming the first file that is missing, altered or not on the list.
    """
    mend = "restore it from git (git checkout -- regl_core/weights) or run make foundation"
    listed = {}
    if not (folder / SUMS).is_file():
        raise ReglError(f"foundation: {folder / SUMS} is missing; {mend}")
    for line in (folder / SUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    present = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {SUMS}
    for name in sorted(listed.keys() | present):
        if name not in present:
            raise ReglError(f"foundation: {folder / name} is missing; {mend}")
        if name not in listed:
            raise ReglError(f"foundation: {folder / name} is not on {SUMS}; remove it, or {mend}")
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != listed[name]:
            raise ReglError(
                f"foundation: {folder / name} is not the file that was shipped "
                f"(sha256 {found[:12]}…, expected {listed[name][:12]}…); {mend}"
            )


def digest(settings: FoundationSettings) -> str:
    """A digest of the models' bytes (folders) or of their ids and revision (hub)."""
    total = hashlib.sha256(settings.dtype.encode())
    for source in sources(settings):
        folder = Path(source)
        if not folder.is_dir():
            total.update(f"{source}@{settings.revision}".encode())
            continue
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            with path.open("rb") as file:
                total.update(str(path.relative_to(folder)).encode())
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


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
    where = dict(zip(PARTS, sources(settings), strict=True))
    how = {"dtype": getattr(torch, settings.dtype), "use_safetensors": True}
    revision = {"revision": settings.revision}
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        where["stable-diffusion"],
        **how,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **revision,
    )
    # A whole CLIP's settings can name the width of its features once, for both its encoders.
    config = transformers.AutoConfig.from_pretrained(where["image-encoder"])
    if hasattr(config, "vision_config"):
        config.vision_config.projection_dim = config.projection_dim
        config = config.vision_config
    encoder = transformers.CLIPVisionModelWithProjection.from_pretrained(
        where["image-encoder"], config=config, **how
    )
    captioner = transformers.AutoModelForImageTextToText.from_pretrained(where["captioner"], **how)
    return frozen(
        pipeline=pipeline,
        image_encoder=encoder,
        image_processor=transformers.AutoImageProcessor.from_pretrained(where["image-encoder"]),
        captioner=captioner,
        caption_processor=transformers.AutoProcessor.from_pretrained(where["captioner"]),
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
    from diffusers import DPMSolverMultistepScheduler

    # One sampler for every model: ten to twenty steps of DPM-Solver++ on its own noise schedule.
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
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
