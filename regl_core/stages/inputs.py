"""What stages start from: a data set and a foundation, each with the digest of its bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from ..data import Dataset
from ..foundation import Foundation, opened
from ..params import FoundationSettings

if TYPE_CHECKING:  # how they find what the digest names has no part in keys
    from ..datasets import Loader
    from ..hub import Sources

Tick = Callable[[float], None]


@lru_cache(maxsize=4)
def _opened(loader: "Loader", digest: str) -> Dataset:
    """The data set, loaded once per process; every user leaves it as it was."""
    return loader.load_same(digest)


@lru_cache(maxsize=1)
def _resident(sources: "Sources", digest: str) -> Foundation:
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
    loader: "Loader" = field(metadata={"key": False})
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
    sources: "Sources" = field(metadata={"key": False})

    @property
    def settings(self) -> FoundationSettings:
        """What names it."""
        return self.sources.settings

    def load(self) -> Foundation:
        """The foundation. Halt if it is no more what `digest` says."""
        return _resident(self.sources, self.digest)
