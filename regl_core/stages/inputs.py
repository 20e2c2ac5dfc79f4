"""What stages start from: a data set and a foundation, each with the digest of its bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from .. import foundation
from ..data import Dataset
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


@lru_cache(maxsize=1)
def _resident(settings: FoundationSettings) -> foundation.Foundation:
    """The foundation, loaded once per process; every user leaves it as it was."""
    return foundation.load(settings)


@dataclass(frozen=True)
class Source:
    """A data set: the name of its kind, the digest of its bytes, and a way to it.

    All that a stage can see of it is behind the digest. So the way has no part in keys: neither
    the folder it leads to, nor the code that reads this kind of data set or any other.
    """

    kind: str
    digest: str
    loader: Loads = field(metadata={"key": False})

    def load(self) -> Dataset:
        """The data set. Halt if it is no more what `digest` says."""
        return _opened(self.loader, self.digest)


@dataclass(frozen=True)
class Models:
    """A foundation: its settings and the digest of its bytes."""

    settings: FoundationSettings
    digest: str

    def load(self) -> foundation.Foundation:
        return _resident(self.settings)
