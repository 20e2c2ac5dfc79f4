"""Data sets: real images with labels and names, and their split into training and test set.

`datasets.load` gives one by its name.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .images import Images

if TYPE_CHECKING:
    from .datasets.decoding import Originals


@dataclass(frozen=True, eq=False)
class Split:
    """The training or the test set.

    images : uint8 (n, 3, side, side), RGB, 0 to 255; in memory or, as `Images`, where they lie
    labels : int64 tensor (n,), indices into the classes of the data set
    origin : of images that were decoded from files
    """

    images: Tensor | Images
    labels: Tensor
    origin: "Originals | None" = None

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> "Split":
        """The images at `indices` (int64) and their labels, in that order.

        A tensor's images are copied, those of `Images` are not.
        """
        mapped = isinstance(self.images, Images)
        images = self.images.view(indices) if mapped else self.images[indices]
        origin = self.origin.view(indices) if self.origin else None
        return Split(images, self.labels[indices], origin)

    def pictures(self, indices: Tensor, side: int) -> Tensor:
        """The images at `indices` (int64) at `side` pixels: uint8 (k, 3, side, side).

        Those larger than they are kept come from the files, where there are any: an enlarged
        image has lost what its file still shows.

        Raises
        ------
        ReglError
            A file cannot be decoded any more.
        """
        if self.origin and side > self.images.shape[-1]:
            return self.origin.pictures(indices, side)
        return resized(self.images[indices], side)

    def by_class(self, count: int) -> Tensor:
        """The first `count` images of each class: uint8 (classes, count, 3, side, side)."""
        of_class = [(self.labels == k).nonzero()[:count, 0] for k in self.labels.unique()]
        return torch.stack([self.images[rows] for rows in of_class])

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of images and labels."""
        sha = hashlib.sha256(f"{tuple(self.images.shape)} {self.images.dtype}".encode())
        if self.origin:
            sha.update(self.origin.digest.encode())
        else:
            for start in range(0, len(self), 1000):
                part = self.images[start : start + 1000]
                sha.update(part.contiguous().numpy().tobytes())
        sha.update(self.labels.numpy().tobytes())
        return sha.hexdigest()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as the pipeline sees it; `classes` are names that fit into a prompt."""

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of the names of the classes and of all images and labels."""
        parts = repr((self.classes, self.train.digest, self.test.digest))
        return hashlib.sha256(parts.encode()).hexdigest()


def resized(images: Tensor, side: int) -> Tensor:
    """uint8 images (…, 3, s, s) at `side` pixels, antialiased; the same tensor if they have it.

    A data set and a text-to-image model may differ in size: the model tunes on images of its
    own size, and the classifier gets the data set's.
    """
    if images.shape[-1] == side:
        return images
    from torchvision.transforms.v2.functional import resize  # two seconds of imports

    return resize(images, [side, side], antialias=True)
