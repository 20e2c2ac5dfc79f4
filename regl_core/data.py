"""Data sets: real images with labels and names, and their split into training and test set."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .errors import ReglError
from .frozen import nearest
from .params import DatasetSettings
from .seeds import numpy_generator


@dataclass(frozen=True, eq=False)
class Split:
    """The training or the test set.

    images : uint8 tensor (n, 3, side, side), RGB, 0 to 255
    labels : int64 tensor (n,), indices into the classes of the data set
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> "Split":
        """A copy of the images at `indices` (int64) and of their labels, in that order."""
        return Split(self.images[indices], self.labels[indices])

    def by_class(self, count: int) -> Tensor:
        """The first `count` images of each class: uint8 (classes, count, 3, side, side)."""
        return torch.stack([self.images[self.labels == k][:count] for k in self.labels.unique()])


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
        sha = hashlib.sha256(repr(self.classes).encode())
        for split in (self.train, self.test):
            for tensor in (split.images, split.labels):
                sha.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
                sha.update(tensor.contiguous().numpy().tobytes())
        return sha.hexdigest()


def resized(images: Tensor, side: int) -> Tensor:
    """uint8 images (…, 3, s, s) at `side` pixels, antialiased; the same tensor if they have it.

    A data set and a text-to-image model may differ in size: the model tunes on images of its
    own size, and the classifier gets the data set's.
    """
    if images.shape[-1] == side:
        return images
    from torchvision.transforms.v2.functional import resize  # two seconds of imports

    return resize(images, [side, side], antialias=True)


def load(name: str, settings: DatasetSettings) -> Dataset:
    """The data set `name`, cut and scaled as `settings` say.

    Raises
    ------
    ReglError
        The name is unknown, or the data set cannot be cut as asked.
    """
    if name not in DATASETS:
        raise ReglError(
            f"data set {name!r} is unknown{nearest(name, DATASETS)}, expected one of "
            f"{', '.join(DATASETS)}"
        )
    whole = DATASETS[name](settings)
    return validated(whole, settings) if settings.validation_share else whole


def digits(settings: DatasetSettings) -> Dataset:
    """Scikit-learn's 1,797 handwritten digits, white on black, shipped with the library.

    Source: the test set of UCI's "Optical Recognition of Handwritten Digits" (Alpaydin and
    Kaynak 1998), 8 × 8 images with 17 grey levels, 174 to 183 per class. There is no official
    split, so `train_per_class` images of each class, drawn from `split_seed`, are for training
    and all others for test. The images are enlarged bilinearly and their grey is repeated to RGB.
    """
    if settings.root is not None:
        raise ReglError(
            f"datasets.digits.root: given {settings.root!r}, expected null: the digits come with "
            "scikit-learn and are not read from a folder"
        )
    from sklearn.datasets import load_digits  # two seconds of imports

    raw = load_digits()
    side = settings.image_side
    # Scaled in float64 before it is multiplied: at 16 pixels every step is exact.
    grey = interpolate(torch.from_numpy(raw.images)[:, None], size=(side, side), mode="bilinear")
    images = (grey * (255 / 16)).round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    everything = Split(images, torch.from_numpy(raw.target).to(torch.int64))
    train, test = stratified("digits", everything, settings)
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return Dataset("digits", names, train, test)


def stratified(name: str, everything: Split, settings: DatasetSettings) -> tuple[Split, Split]:
    """A training set with the same number of images of each class, and a test set of the rest.

    A larger `train_per_class` adds images to the training set and never exchanges one.

    Raises
    ------
    ReglError
        `train_per_class` is not given, or leaves a class without a test image.
    """
    labels = everything.labels.numpy()
    most = int(np.bincount(labels).min()) - 1
    count = settings.train_per_class
    if count is None or count > most:
        raise ReglError(
            f"datasets.{name}.train_per_class: given {count}, expected at most {most}: this data "
            "set has no official split and each class must keep an image for the test"
        )
    return _divided(everything, lambda of_class: count, settings.split_seed, "split", name)


def validated(dataset: Dataset, settings: DatasetSettings) -> Dataset:
    """`dataset` for choosing hyper-parameters: its test set is out of reach.

    The share `validation_share` of the training images of each class, at least one, stands in
    the place of the test set; the others remain for training.

    Raises
    ------
    ReglError
        A class would keep no image for training.
    """
    share, fewest = settings.validation_share, int(dataset.train.labels.bincount().min())
    if fewest - max(1, round(share * fewest)) < 1:
        raise ReglError(
            f"datasets.{dataset.name}.validation_share: given {share}, expected less: a class of "
            f"{fewest} training images would keep none"
        )
    held_out, train = _divided(
        dataset.train,
        lambda of_class: max(1, round(share * of_class)),
        settings.split_seed,
        "validation",
        dataset.name,
    )
    return Dataset(dataset.name, dataset.classes, train, held_out)


def _divided(split: Split, count: Callable[[int], int], *path: int | str) -> tuple[Split, Split]:
    """`count` (of how many there are) images of each class, drawn by `path`, and the others."""
    labels = split.labels.numpy()
    drawn = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        order = numpy_generator(*path, int(label)).permutation(own)
        drawn[order[: count(len(own))]] = True
    chosen = torch.from_numpy(drawn)
    return split.subset(chosen.nonzero()[:, 0]), split.subset((~chosen).nonzero()[:, 0])


DATASETS: Mapping[str, Callable[[DatasetSettings], Dataset]] = MappingProxyType({"digits": digits})
