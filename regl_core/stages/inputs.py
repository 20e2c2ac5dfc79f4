"""What stages start from: a data set and a foundation, each with the digest of its bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from .. import data, foundation
from ..params import DatasetSettings, FoundationSettings

Tick = Callable[[float], None]


@lru_cache(maxsize=1)
def _resident(settings: FoundationSettings) -> foundation.Foundation:
    """The foundation, loaded once per process; every user leaves it as it was."""
    return foundation.load(settings)


@dataclass(frozen=True)
class Source:
    """A data set: its name, its settings, the digest of its bytes and numbers of its contents."""

    name: str
    settings: DatasetSettings
    digest: str
    classes: int
    train: int  # images
    test: int  # images

    def load(self) -> data.Dataset:
        return data.load(self.name, self.settings)


@dataclass(frozen=True)
class Models:
    """A foundation: its settings and the digest of its bytes."""

    settings: FoundationSettings
    digest: str

    def load(self) -> foundation.Foundation:
        return _resident(self.settings)
