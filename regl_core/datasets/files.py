"""Data sets that lie on the disk as image files."""

import hashlib
import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..data import Dataset, Split
from ..engine.digest import code_digest
from ..errors import ReglError
from ..images import Images
from ..params import ROOT
from .base import Loader
from .decoding import attempted, decoder, undecodable
from .listing import Listing, Unfit
from .packing import Pack, check_same

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")


class FileLoader(Loader):
    """Decodes the files that `found` lists, once (`packing`), and maps the images."""

    source: ClassVar[str]  # where to get the data set, in words
    layout: ClassVar[str]  # what its folder holds
    signs: ClassVar[tuple[str, ...]] = ()  # names of which its folder holds one

    @abstractmethod
    def found(self, root: Path) -> Listing:
        """What lies in `root`. Raises `Unfit`, its problems without name and place."""

    def miscounts(self, listing: Listing) -> list[str]:
        """Where the numbers of images are not the published ones, in words."""
        return []

    @property
    def root(self) -> Path:
        """The folder of the data set; one that is not absolute lies in the repository."""
        given = self.settings.root
        if given is None:
            raise Unfit([f"datasets.{self.name}.root: given null, expected {self._wanted}"])
        return ROOT / Path(given).expanduser()

    def everything(self) -> Listing:
        root = self.root
        if not os.path.isdir(root):  # `Path.is_dir` raises where a name is too long to be one
            raise Unfit(
                [f"datasets.{self.name}.root: {root} is no folder, expected {self._wanted}"]
            )
        try:
            listing = self.found(root)
            problems = unfilled(listing)
            if self.settings.complete:
                problems += self.miscounts(listing)
        except Unfit as error:
            problems = error.problems
        if problems:
            where = f"data set {self.name}: {root}{self._rather(root)}"
            raise Unfit([f"{where}: {text}; {self.source}" for text in problems])
        return listing

    @property
    def place(self) -> str:
        return f"in {self.root}"

    def bytes_missing(self) -> int:
        return self.pack(self.listed()).bytes_missing()

    def decoded_at(self) -> Path | None:
        return self.pack(self.listed()).blocks.folder

    def load(self) -> Dataset:
        listing = self.listed()
        pack = self.pack(listing)
        pixels, sha = pack.mapped()
        train, test = (
            Split(
                Images((pixels,), part.rows),
                part.labels,
                Originals(listing.root, listing.files, pack.stats, sha, part.rows),
            )
            for part in listing.parts
        )
        return Dataset(self.name, listing.classes, train, test)

    def pack(self, listing: Listing) -> Pack:
        """Where the decoded images of `listing` are kept."""
        return Pack(self.name, listing.root, listing.files, self.settings.image_side, self.packed)

    def _rather(self, root: Path) -> str:
        """The folder in `root` that was probably meant, in words."""
        places = (root, *(root / name for name in folders_in(root)))
        found = [it for it in places if any((it / sign).exists() for sign in self.signs)]
        return f" (did you mean {found[0]}?)" if found and found[0] != root else ""

    @property
    def _wanted(self) -> str:
        return f"{self.layout}; {self.source}"


@dataclass(frozen=True, eq=False)
class Originals:
    """The image files behind a split.

    root, files : all files of the data set, by their path below a folder
    stats : int64 (m, 2), their sizes and times when their digest was known (`Pack.stats`)
    sha : of their bytes and decoded images (`Pack.mapped`)
    rows : int64 (n,), which of them are the split's
    """

    root: Path
    files: Sequence[str]
    stats: np.ndarray
    sha: str
    rows: Tensor

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the files, the images, their order, and the code that decodes.

        Stages see this in place of that code: they read images anew through `pictures`.
        """
        code = code_digest((__name__, type(self).__name__))
        sha = hashlib.sha256(f"{self.sha} {decoder()} {code}".encode())
        sha.update(self.rows.numpy().tobytes())
        return sha.hexdigest()

    def view(self, index: Tensor) -> "Originals":
        """Of the images at `index`, in that order."""
        return Originals(self.root, self.files, self.stats, self.sha, self.rows[index])

    def pictures(self, index: Tensor, side: int) -> Tensor:
        """Those at `index`, decoded anew: uint8 (k, 3, side, side).

        ReglError if one cannot be, Halt if a file is no longer as it was.
        """
        rows = self.rows[index].tolist()
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda row: attempted(self.root, self.files[row], side), rows))
        if told := [it for it in found if isinstance(it, str)]:
            raise ReglError(undecodable(told))
        for row in rows:  # after reading: what changes meanwhile is seen too
            check_same(self.root / self.files[row], self.stats[row])
        return (
            torch.from_numpy(np.stack(found))
            if found
            else torch.empty((0, 3, side, side), dtype=torch.uint8)
        )


def lines(file: Path) -> list[str]:
    """Those of a text file. Raises `Unfit` where it is no text in UTF-8."""
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise Unfit(
            [f"{file.name} is no text in UTF-8 (byte {error.start}); save it as one"]
        ) from None


def images_in(folder: Path) -> list[str]:
    """The image files in `folder` and below it, by their path in it, sorted.

    Raises `Unfit` where a link leads back to a folder above it: there is no end below that.
    """
    found = []
    above: dict[str, tuple[tuple[int, int], ...]] = {}  # by its path, a folder and those above it
    for place, _, names in os.walk(folder, followlinks=True):
        stat = os.stat(place)
        own, outer = (stat.st_dev, stat.st_ino), above.get(os.path.dirname(place), ())
        if own in outer:
            raise Unfit([f"{place} is a link to a folder that it lies in: remove it"])
        above[place] = (*outer, own)
        inner = Path(place).relative_to(folder)
        found += [
            (inner / name).as_posix()
            for name in names
            if not name.startswith(".") and name.lower().endswith(SUFFIXES)
        ]
    return sorted(found)


def folders_in(folder: Path) -> list[str]:
    """The names of the folders in `folder`, sorted, without hidden ones."""
    with os.scandir(folder) as entries:
        return sorted(it.name for it in entries if it.is_dir() and not it.name.startswith("."))


def by_class(root: Path, part: str, classes: Iterable[str]) -> list[tuple[str, int]]:
    """The images in root/part/<class>, by their path below `root`, with numbers of classes."""
    return [
        (f"{place}/{name}", label)
        for label, class_name in enumerate(classes)
        for place in [f"{part}/{class_name}" if part else class_name]
        for name in images_in(root / place)
    ]


def unfilled(listing: Listing) -> list[str]:
    """Classes without a training or a test image, and names of classes that stand twice."""
    problems = []
    for what, counts in zip(("training", "test"), listing.counts(), strict=True):
        empty = [name for name, count in zip(listing.classes, counts, strict=True) if not count]
        if empty:
            problems.append(f"no {what} image of {some(empty)}")
    twice = {name for name in listing.classes if listing.classes.count(name) > 1}
    if twice:
        problems.append(f"two classes have the same name for prompts: {some(sorted(twice))}")
    return problems


def some(names: Sequence[str]) -> str:
    """The first of `names`, and how many there are."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{len(names)} of them: {shown}, …"
