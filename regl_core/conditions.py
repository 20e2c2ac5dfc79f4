"""The multi-modal condition of Sec. 4.1.2, from one client's own data.

    "A photo of {class}, {caption}, {intra-class visual feature}"

The text part goes through the text encoder; the visual feature becomes one more token of
the sequence that the U-Net's cross-attention reads.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import torch
import torch.nn.functional as F
from PIL import Image

from .engine import Checkpoint, piecewise
from .foundation import Foundation
from .images import Images
from .seeds import torch_generator
from .system import Fitting

BATCH = 256
Made = TypeVar("Made")


def batchwise(
    make: Callable[[slice], Made],
    count: int,
    size: int,
    fitting: Fitting,
    checkpoint: Checkpoint | None = None,
    tick: Callable[[float], None] = lambda fraction: None,
) -> list[Made]:
    """What `make` makes of items 0 to `count`, in batches of `size`, smaller where they must be.

    `checkpoint`: where batches are kept, and those that are there are taken from (`piecewise`).
    `tick` gets the share done.
    """

    def batch(start: int) -> list[Made]:
        return fitting.parts(make, start, min(start + size, count))

    return list(chain.from_iterable(piecewise(batch, range(0, count, size), checkpoint, tick)))


def vanilla_prompt(template: str, name: str) -> str:
    """The prompt of training-free generation (Appendix B), e.g. for ``name`` = "three"."""
    return template.replace("{class}", name)


def multimodal_prompt(name: str, caption: str) -> str:
    """The text of the multi-modal condition (Sec. 4.1.2)."""
    return f"A photo of {name}, {caption}" if caption else f"A photo of {name}"


def without_classes(caption: str, classes: Sequence[str]) -> str:
    """`caption` without any of the class names (whole words, any case, plurals too).

    A caption is reused for other classes of the client, so it must not name one.

    >>> without_classes("a lemon on a blue table", ["lemon", "orange"])
    'a on a blue table'
    """
    for name in sorted(classes, key=len, reverse=True):
        words = r"[\s_-]+".join(re.escape(word) for word in name.split())
        caption = re.sub(rf"\b{words}(?:s|es)?\b", " ", caption, flags=re.IGNORECASE)
    caption = re.sub(r"\s+", " ", caption)
    return re.sub(r"(?:\s*,)+", ",", caption).strip(" ,")


def _pictures(images: torch.Tensor) -> list[Image.Image]:
    return [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]


@torch.inference_mode()
def captions(
    foundation: Foundation,
    images: torch.Tensor | Images,
    classes: Sequence[str],
    checkpoint: Checkpoint | None = None,
) -> list[str]:
    """A caption for each image, uint8 (n, 3, side, side), without any class name.

    They are read batch by batch. `checkpoint`: where the batches are kept (`batchwise`).
    """

    def some(part: slice) -> list[str]:
        pictures = _pictures(images[part])
        inputs = foundation.caption_processor(images=pictures, return_tensors="pt")
        inputs = inputs.to(foundation.device, foundation.dtype)
        ids = foundation.captioner.generate(**inputs, do_sample=False, max_new_tokens=20)
        # What BLIP-2 was given, tokens for the image, is among the ids; they count as special.
        return foundation.caption_processor.batch_decode(ids, skip_special_tokens=True)

    fitting = Fitting("captioning an image")
    texts = chain.from_iterable(batchwise(some, len(images), BATCH, fitting, checkpoint))
    return [without_classes(text.strip(), classes) for text in texts]


@torch.inference_mode()
def features(
    foundation: Foundation, images: torch.Tensor | Images, checkpoint: Checkpoint | None = None
) -> torch.Tensor:
    """Unit image features (n, d), float32, of uint8 images (n, 3, side, side).

    They are read batch by batch. `checkpoint`: as in `captions`.
    """

    def some(part: slice) -> torch.Tensor:
        pictures = _pictures(images[part])
        inputs = foundation.image_processor(images=pictures, return_tensors="pt")
        pixels = inputs["pixel_values"].to(foundation.device, foundation.dtype)
        return foundation.image_encoder(pixels).image_embeds.float().cpu()

    fitting = Fitting("the feature of an image")
    parts = batchwise(some, len(images), BATCH, fitting, checkpoint)
    return F.normalize(foundation.finite(torch.cat(parts), "image features"), dim=1)


def borrowed(
    captions: Sequence[str], labels: torch.Tensor, of_class: int, count: int, *seed: int | str
) -> list[str]:
    """`count` of a client's captions for images of a class to be made, drawn by `seed`.

    An owned class borrows the captions of its own images, as `labels` say, a missing one any.
    """
    own = [text for text, label in zip(captions, labels.tolist(), strict=True) if label == of_class]
    pool = own or captions
    drawn = torch.randint(len(pool), (count,), generator=torch_generator(*seed))
    return [pool[i] for i in drawn.tolist()]


@dataclass(frozen=True)
class ClassFeatures:
    """The intra-class visual features of one client, as a distribution to draw from.

    means: (classes, d), zero for a class without a feature; spread: (n, d), how each of the
    client's n images deviates from the mean of its class, with their labels (n,).
    """

    means: torch.Tensor
    spread: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def of(
        cls, real: torch.Tensor, labels: torch.Tensor, vanilla: torch.Tensor, missing: str
    ) -> "ClassFeatures":
        """From the features (n, d) of the client's images, labelled, and its vanilla means.

        vanilla: mean feature (classes, d) of its training-free images of each class. A class
        the client owns has the mean of its images (Sec. 4.1.2). One it lacks has no image
        to average: with `missing` = "shifted" its mean is that of its training-free images,
        moved by the client's mean (real − training-free) over the classes it owns; with
        "zeros", there is none.
        """
        owned = labels.unique()
        own = torch.stack([real[labels == k].mean(0) for k in owned])
        means = torch.zeros_like(vanilla)
        if missing == "shifted":
            means = vanilla + (own - vanilla[owned]).mean(0)
        means[owned] = own
        return cls(means, real - means[labels], labels)

    def draw(self, of_class: torch.Tensor, images: int, generator: torch.Generator) -> torch.Tensor:
        """A feature for each entry of `of_class` (n,): unit vectors (n, d), or zero.

        Each is the mean over `images` randomly selected images of that class (Sec. 4.1.2);
        for a class the client lacks, its mean with the deviation of randomly selected
        images of others. So the images that are made vary as the client's own do.
        """
        owned = self.labels.unique()
        drawn = torch.empty(len(of_class), self.means.shape[1])
        for k in of_class.unique():
            rows = (of_class == k).nonzero()[:, 0]
            pool = self.spread[self.labels == k] if k in owned else self.spread
            pick = torch.randint(len(pool), (len(rows), images), generator=generator)
            drawn[rows] = (self.means[k] + pool[pick].mean(1)) * bool(self.means[k].any())
        return F.normalize(drawn, dim=1)


@torch.inference_mode()
def prompt_embeddings(
    foundation: Foundation, prompts: Sequence[str], tokens: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompt embeddings and their unconditional counterparts, each (n, length, d).

    tokens (n, d), unit or zero vectors, are appended to the text's states, each as long as these
    are on average: encoders differ in scale, and attention must weigh both. The
    unconditional side has a zero token there. Without tokens, plain text conditions. Prompts
    that are equal are encoded once.
    """
    pipeline = foundation.pipeline

    def states(texts: Sequence[str]) -> torch.Tensor:
        ids = pipeline.tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=pipeline.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids
        return pipeline.text_encoder(ids.to(foundation.device)).last_hidden_state

    different = list(dict.fromkeys(prompts))
    positive = states(different)[[different.index(prompt) for prompt in prompts]]
    negative = states([""]).expand_as(positive)
    if tokens is None:
        return positive, negative
    token = (tokens.to(positive) * positive.norm(dim=2).mean(1, keepdim=True))[:, None]
    return (
        torch.cat([positive, token], dim=1),
        torch.cat([negative, torch.zeros_like(token)], dim=1),
    )
