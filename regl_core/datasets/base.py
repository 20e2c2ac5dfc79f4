"""What every data set has: a name, settings, a list of its images, and a way to load them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ..data import Dataset
from ..engine import not_in_key
from ..errors import Halt, ReglError
from ..params import DatasetSettings
from .listing import Listing, Unfit


@dataclass(frozen=True)
class Loader(ABC):
    """A data set by its name and settings: says what there is, what is wrong, and loads it.

    packed : the folder below which images decoded from files are kept
    """

    name: str
    settings: DatasetSettings
    packed: Path

    kind: ClassVar[str]  # its name, or what its name has before a colon
    class_lists: ClassVar[tuple[str | None, ...]] = (None,)  # what `class_list` can be

    @abstractmethod
    def everything(self) -> Listing:
        """All images, split as is official, or by `split_seed`. Raises `Unfit`."""

    def published(self) -> Listing:
        """What `everything` gives for the data set as published. Raises `Unfit` if it is not."""
        raise Unfit([f"data set {self.name}: nothing is known of it before it is there"])

    @abstractmethod
    def load(self) -> Dataset:
        """The images, as `settings` cut and scale them. ReglError if it cannot be done."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it lies, in words."""

    def bytes_missing(self) -> int:
        """How many bytes `load` would write first. Raises `Unfit`."""
        return 0

    def decoded_at(self) -> Path | None:
        """The folder of decoded images that `load` maps; None if it maps none. Raises `Unfit`."""
        return None

    def load_same(self, digest: str) -> Dataset:
        """What `load` gives. Halt if its digest is another: the files have changed."""
        dataset = self.load()
        if dataset.digest != digest:
            raise Halt(f"data set {self.name} has changed while this program ran; run it again")
        return dataset

    def listed(self) -> Listing:
        """Classes and labels of what `load` gives, without an image decoded. Raises `Unfit`."""
        self.check()
        return self.everything().cut(self.name, self.settings)

    def nominal(self) -> Listing:
        """What `listed` gives for the data set as published; nothing need be there."""
        self.check()
        return self.published().cut(self.name, self.settings)

    def problems(self) -> list[str]:
        """What is wrong or missing, a line each."""
        try:
            self.listed()
        except Unfit as error:
            return list(error.problems)
        except ReglError as error:
            return [str(error)]
        return []

    @not_in_key
    def check(self) -> None:
        """Whether `settings` can be those of such a data set, there or not. Raises `Unfit`."""
        given = self.settings.class_list
        if given not in self.class_lists:
            expected = " or ".join(it or "null" for it in self.class_lists)
            raise Unfit(
                [f"datasets.{self.name}.class_list: given {given or 'null'}, expected {expected}"]
            )
