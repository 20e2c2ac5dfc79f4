"""How much there is to do: named units, of which `rates` knows the seconds, `footprint` the bytes.

`counts` says how much of each a stage takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from ..params import FoundationSettings, TrainingSettings

TESTED = 512  # images evaluated at once, in `training.evaluate`


@dataclass(frozen=True)
class Unit:
    """One piece of work, or of what is kept.

    Attributes
    ----------
    what
        Work: a second to "start"; an image "captioned", "embedded" by the image encoder,
        "encoded" into latents or "decoded" from them; a latent "denoised" by one pass of the
        U-Net, or "tuned" on, forward and backward; an image that the classifier is "trained" on,
        forward and backward, or that it has "evaluated". Kept on disk: a "byte", a "network", a
        "rank" of an adapter, the "feature" of an image; and in memory while a federation lasts:
        what a "client" keeps and sends.
    model
        Which one, as the settings name it; empty where there is none.
    side
        Of the images, in pixels; 0: as the model makes or reads them.
    batch
        How many of them are in memory at once.
    dtype, device
        As in the settings.
    revision
        Of the model, where the settings name one.
    """

    what: str
    model: str = ""
    side: int = 0
    batch: int = 1
    dtype: str = "float32"
    device: str = "cpu"
    revision: str = ""


Work = Mapping[Unit, float]  # how much of each unit

START, BYTE = Unit("start"), Unit("byte")
KEPT = ("byte", "network", "rank", "feature", "client")  # these take no time
PART = {"captioned": "captioner", "embedded": "image-encoder", "feature": "image-encoder"}


@cache
def generative(what: str, settings: FoundationSettings, batch: int = 1) -> Unit:
    """A unit of one of the three models of a foundation, or of what that leaves."""
    part = PART.get(what, "stable-diffusion")
    model, revision = {
        "stable-diffusion": (settings.name, settings.revision),
        "image-encoder": (settings.image_encoder, settings.image_encoder_revision),
        "captioner": (settings.captioner, settings.captioner_revision),
    }[part]
    model = model or f"{settings.name}/{part}"  # as the shipped ones lie
    return Unit(what, model, 0, batch, settings.dtype, settings.device, revision or "")


def sampled(
    settings: FoundationSettings, images: float, steps: int, guidance: float, batch: int
) -> Work:
    """Sampling `images`: with guidance every step passes the U-Net twice."""
    passes = 1 + (guidance > 1)
    return {
        generative("denoised", settings, passes * batch): images * steps * passes,
        generative("decoded", settings, batch): images,
    }


@cache
def classifier(what: str, settings: TrainingSettings, side: int, batch: int = 1) -> Unit:
    """A unit of the network that is trained, on images of `side` pixels."""
    model = f"{settings.model} {settings.width}"
    dtype = "float32" if what in KEPT else settings.precision
    return Unit(what, model, side, batch, dtype, settings.device)


def tested(settings: TrainingSettings, side: int, images: float) -> Work:
    """Evaluating the network on `images`."""
    return {classifier("evaluated", settings, side, TESTED): images}


def total(*several: Work) -> dict[Unit, float]:
    """All of it together."""
    summed: dict[Unit, float] = {}
    for work in several:
        for unit, amount in work.items():
            summed[unit] = summed.get(unit, 0.0) + amount
    return summed
