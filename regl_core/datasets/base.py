"""What every data set has: a name, settings, a list of its images, and a way to load them."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..engine import Store
from ..errors import Halt, ReglError
from ..params import ROOT, DatasetSettings
from .decoding import Decoded, Originals, blocks, mapped, missing, written
from .listing import Listing, Unfit

if TYPE_CHECKING:
    from ..data import Dataset


PACKED = ROOT / ".store" / "packed"  # where decoded images of data sets are kept


@lru_cache
def _store(folder: Path) -> Store:
    """One per process, as each reads and compares all that is in it once."""
    return Store(folder)


@dataclass(frozen=True)
class Loader(ABC):
    """A data set by its name and settings: says what there is, what is wrong, and loads it.

    packed : the folder below which images decoded from files are kept
    """

    name: str
    settings: DatasetSettings
    packed: Path

    kind: ClassVar[str]  # its name, or what its name has before a colon

    @abstractmethod
    def everything(self) -> Listing:
        """All images, split as is official, or by `split_seed`. Raises `Unfit`."""

    @abstractmethod
    def published(self) -> Listing:
        """What `everything` gives for the data set as published. Raises `Unfit` if it is not."""

    @abstractmethod
    def load(self) -> "Dataset":
        """The images, as `settings` cut and scale them. ReglError if it cannot be done."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it lies, in words."""

    @property
    def split_path(self) -> tuple[int | str, ...]:
        """What a split that is not official is drawn by; outside of a run by the seed 0."""
        return self.settings.split_seed or 0, "split", self.kind

    def blocks(self) -> tuple[Decoded, ...]:
        """What decodes the images that `load` gives; none if it decodes none. Raises `Unfit`."""
        return ()

    @property
    def store(self) -> Store:
        """Where decoded images are kept."""
        return _store(self.packed)

    def bytes_missing(self) -> int:
        """How many bytes `load` has to write first. Raises `Unfit`."""
        return written(missing(self.blocks(), self.store))

    def load_same(self, digest: str) -> "Dataset":
        """What `load` gives. Halt if its digest is another: the files have changed."""
        dataset = self.load()
        if dataset.digest != digest:
            raise Halt(f"data set {self.name} has changed while this program ran; run it again")
        return dataset

    def listed(self) -> Listing:
        """Classes and labels of what `load` gives, without an image decoded. Raises `Unfit`."""
        return self.everything().cut(self.name, self.settings)

    def nominal(self) -> Listing:
        """What `listed` gives for the data set as published; nothing need be there.

        Classes without published names are numbered; where only a total is published, the images
        are spread evenly. Raises `Unfit` where nothing is published, of an image folder say.
        """
        return self.published().cut(self.name, self.settings)

    def problems(self) -> list[str]:
        """What is wrong or missing, a line each; files are listed, not decoded."""
        try:
            self.listed()
        except Unfit as error:
            return list(error.problems)
        except ReglError as error:
            return [str(error)]
        return []


class FileLoader(Loader):
    """Decodes the files that `found` lists, once (`decoding`), and maps the images."""

    source: ClassVar[str]  # where to get the data set, in words
    layout: ClassVar[str]  # what its folder holds
    numbers: ClassVar[tuple[int, int, int] | None] = None  # published: classes, training, test

    @abstractmethod
    def found(self, root: Path) -> Listing:
        """What lies in `root`. Raises `Unfit`, its problems without name and place."""

    def miscounts(self, listing: Listing) -> list[str]:
        """Where the numbers of images are not the published ones, in words."""
        names = ("classes", "training images", "test images")
        counts = (len(listing.classes), len(listing.train), len(listing.test))
        return [
            f"{count:,} {name}, expected {expected:,}"
            for name, count, expected in zip(names, counts, self.numbers or counts, strict=True)
            if count != expected
        ]

    def published(self) -> Listing:
        if self.numbers is None:
            raise Unfit(f"data set {self.name}: nothing is known of it before it is there")
        classes, train, test = self.numbers
        names = [f"{self.kind} {k}" for k in range(1, classes + 1)]
        spread = (np.bincount(np.arange(it) % classes).tolist() for it in (train, test))
        return Listing.counted(names, *spread)

    @property
    def root(self) -> Path:
        """The folder of the data set; one that is not absolute lies in the repository."""
        given = self.settings.root
        if given is None:
            raise Unfit(f"datasets.{self.name}.root: given null, expected {self._wanted}")
        return ROOT / os.path.expanduser(given)

    def everything(self) -> Listing:
        root = self.root
        if not os.path.isdir(root):  # `Path.is_dir` raises where a name is too long to be one
            raise Unfit(f"datasets.{self.name}.root: {root} is no folder, expected {self._wanted}")
        try:
            listing = self.found(root)
            problems = listing.problems()
            if self.settings.complete:
                problems += self.miscounts(listing)
        except Unfit as error:
            problems = error.problems
        if problems:
            where = f"data set {self.name}: {root}"
            raise Unfit(*(f"{where}: {text}; {self.source}" for text in problems))
        return listing

    @property
    def place(self) -> str:
        return f"in {self.root}"

    def blocks(self) -> tuple[Decoded, ...]:
        listing = self.listed()
        return blocks(listing.root, listing.files, self.settings.image_side)

    def load(self) -> "Dataset":
        from torch import from_numpy

        from ..data import Dataset, Split
        from ..images import Images

        listing = self.listed()
        decoded = blocks(listing.root, listing.files, self.settings.image_side)
        pixels, sha = mapped(decoded, self.store, self.name)
        its = chain.from_iterable(zip(it.files, it.stats, strict=True) for it in decoded)
        files = [(listing.root / name, stat) for name, stat in its]
        train, test = (
            Split(
                Images(tuple(map(from_numpy, pixels)), from_numpy(part.rows)),
                from_numpy(part.labels),
                Originals(files, sha, part.rows),
            )
            for part in listing.parts
        )
        return Dataset(self.name, listing.classes, train, test)

    @property
    def _wanted(self) -> str:
        return f"{self.layout}; {self.source}"
