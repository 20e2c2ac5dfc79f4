"""What stages start from: a data set and a foundation, each with the digest of its bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from ..data import Dataset
from ..foundation import Foundation, opened
from ..params import FoundationSettings

Tick = Callable[[float], None]


class Loads(Protocol):
    """A way to a data set; hashable."""

    def load_same(self, digest: str) -> Dataset:
        """The data set with that digest. Halt if it is no more there."""


@lru_cache(maxsize=4)
def _opened(loader: Loads, digest: str) -> Dataset:
    """The data set, loaded once per process; every user leaves it as it was."""
    return loader.load_same(digest)


class Finds(Protocol):
    """A way to a foundation; hashable."""

    @property
    def settings(self) -> FoundationSettings:
        """What names it."""

    def same(self, digest: str) -> tuple[Path, ...]:
        """The folders of its models. Halt if their digest is another."""


@lru_cache(maxsize=1)
def _resident(sources: Finds, digest: str) -> Foundation:
    """The foundation, loaded once per process; every user leaves it as it was."""
    settings = sources.settings
    return opened(sources.same(digest), settings.dtype, settings.device)


@dataclass(frozen=True)
class Size:
    """Numbers of classes, of training and of test images, and the side of these in pixels."""

    classes: int
    train: int
    test: int
    side: int

    @classmethod
    def of(cls, dataset: Dataset) -> "Size":
        """Of a data set."""
        train, test = dataset.train, dataset.test
        return cls(len(dataset.classes), len(train), len(test), train.images.shape[-1])


@dataclass(frozen=True)
class Source:
    """A data set: the name of its kind, the digest of its bytes, and a way to it.

    All that a stage can see of it is behind the digest. So the way has no part in keys: neither
    the folder it leads to, nor the code that reads this kind of data set or any other.
    """

    kind: str
    digest: str
    loader: Loads = field(metadata={"key": False})
    size: Size = field(metadata={"key": False})  # for `make plan`

    def load(self) -> Dataset:
        """The data set. Halt if it is no more what `digest` says."""
        return _opened(self.loader, self.digest)


@dataclass(frozen=True)
class Models:
    """A foundation: the digest of its models and number format, where it computes, a way to it.

    As with a `Source` the way has no part in keys: neither folder and id, nor the code that finds
    the models. A GPU rounds otherwise than a processor, so the `device` has: "cpu" or "cuda".
    """

    digest: str
    device: str
    sources: Finds = field(metadata={"key": False})

    @property
    def settings(self) -> FoundationSettings:
        """What names it."""
        return self.sources.settings

    def load(self) -> Foundation:
        """The foundation. Halt if it is no more what `digest` says."""
        return _resident(self.sources, self.digest)
