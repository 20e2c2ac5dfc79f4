"""Which images with which labels a data set has, and how it is cut; no pixel is looked at."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import ReglError
from ..params import DatasetSettings
from ..seeds import numpy_generator
from ..settings import in_one

TEST_SHARE = 0.2  # of a class, where no split is official; as Helber et al. 2019 split EuroSAT
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")

Labelled = Sequence[tuple[str, int]]  # files, by their path below a root, and labels


class Unfit(ReglError):
    """A data set cannot be used: `problems`, a line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__(in_one(problems))
        self.problems = problems


@dataclass(frozen=True, eq=False)
class Subset:
    """The training or the test set: where its images stand in the list of all, and their labels.

    rows, labels : int64 (n,)
    """

    rows: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of_all(cls, labels: Sequence[int]) -> "Subset":
        """All of `labels`, in their order."""
        return cls(np.arange(len(labels)), np.array(labels, dtype=np.int64))

    def at(self, index: np.ndarray | slice) -> "Subset":
        """Those at `index`."""
        return Subset(self.rows[index], self.labels[index])

    def divided(self, count: Callable[[int], int], *path: int | str) -> tuple["Subset", "Subset"]:
        """`count` (of how many there are) images of each class, drawn by `path`, and the others."""
        drawn = np.zeros(len(self), dtype=bool)
        for label in np.unique(self.labels):
            own = np.flatnonzero(self.labels == label)
            order = numpy_generator(*path, int(label)).permutation(own)
            drawn[order[: count(len(own))]] = True
        return self.at(drawn), self.at(~drawn)


@dataclass(frozen=True, eq=False)
class Listing:
    """The classes of a data set, by names that fit into a prompt, and its two parts.

    root, files : the image files and the folder below which they lie; none where images do not
    come from files
    """

    classes: tuple[str, ...]
    train: Subset
    test: Subset
    root: Path = Path()
    files: tuple[str, ...] = ()

    @classmethod
    def official(
        cls, classes: Iterable[str], root: Path, train: Labelled, test: Labelled
    ) -> "Listing":
        """Files that come as a training and a test set."""
        files, labels = zip(*train, *test, strict=True) if train or test else ((), ())
        everything = Subset.of_all(labels)
        parts = (everything.at(slice(len(train))), everything.at(slice(len(train), None)))
        return cls(tuple(classes), *parts, root, files)

    @classmethod
    def seeded(
        cls, classes: Iterable[str], root: Path, everything: Labelled, *path: int | str
    ) -> "Listing":
        """Files without an official split: `TEST_SHARE` of each class, drawn by `path`, to test."""
        files, labels = zip(*everything, strict=True) if everything else ((), ())
        test, train = Subset.of_all(labels).divided(partial(_share, TEST_SHARE), *path)
        return cls(tuple(classes), train, test, root, files)

    @classmethod
    def counted(
        cls, classes: Sequence[str], train: Sequence[int], test: Sequence[int]
    ) -> "Listing":
        """So many training and test images of each class, in files without a name."""
        parts = [
            [("", k) for k, count in enumerate(counts) for _ in range(count)]
            for counts in (train, test)
        ]
        return cls.official(classes, Path(), *parts)

    def cut(self, name: str, settings: DatasetSettings) -> "Listing":
        """As `train_per_class` and `validation_share` say, for the data set `name`.

        A larger `train_per_class` adds training images and never exchanges one. With a share to
        validate on, that share of the training images of each class, at least one, stands in the
        place of the test set, which is out of reach.

        Raises
        ------
        Unfit
            A class has too few training images for that.
        """
        train, test = self.parts
        seed, kind = settings.split_seed or 0, name.partition(":")[0]
        fewest = min(self.counts()[0])
        if (count := settings.train_per_class) is not None:
            if count > fewest:
                raise Unfit(
                    f"datasets.{name}.train_per_class: given {count}, expected at most {fewest}, "
                    "the training images of the smallest class"
                )
            train, _ = train.divided(lambda of_class: count, seed, "train", kind)
            fewest = count
        if share := settings.validation_share:
            if fewest - _share(share, fewest) < 1:
                raise Unfit(
                    f"datasets.{name}.validation_share: given {share}, expected less: a class of "
                    f"{fewest} training images would keep none"
                )
            test, train = train.divided(partial(_share, share), seed, "validation", kind)
        return replace(self, train=train, test=test)

    def counts(self) -> tuple[list[int], list[int]]:
        """How many training and test images there are of each class."""
        size = len(self.classes)
        return tuple(np.bincount(part.labels, minlength=size).tolist() for part in self.parts)

    @property
    def parts(self) -> tuple[Subset, Subset]:
        """The training and the test set."""
        return self.train, self.test

    def problems(self) -> list[str]:
        """Classes without a training or a test image, and names of classes that stand twice."""
        found = []
        for what, counts in zip(("training", "test"), self.counts(), strict=True):
            empty = [name for name, count in zip(self.classes, counts, strict=True) if not count]
            if empty:
                found.append(f"no {what} image of {some(empty)}")
        twice = {name for name in self.classes if self.classes.count(name) > 1}
        if twice:
            found.append(f"two classes have the same name for prompts: {some(sorted(twice))}")
        return found


def _share(share: float, of_class: int) -> int:
    return max(1, round(share * of_class))


def lines(file: Path) -> list[str]:
    """Those of a text file. Raises `Unfit` where it is no text in UTF-8."""
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        what = f"{file.name} is no text in UTF-8 (byte {error.start}); save it as one"
        raise Unfit(what) from None


def images_in(folder: Path) -> list[str]:
    """The image files in `folder` and below it, by their path in it, sorted."""
    return sorted(
        (Path(place).relative_to(folder) / name).as_posix()
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
        if not name.startswith(".") and name.lower().endswith(SUFFIXES)
    )


def folders_in(folder: Path) -> list[str]:
    """The names of the folders in `folder`, sorted, without hidden ones."""
    with os.scandir(folder) as entries:
        return sorted(it.name for it in entries if it.is_dir() and not it.name.startswith("."))


def by_class(root: Path, part: str, classes: Iterable[str]) -> list[tuple[str, int]]:
    """The images in root/part/<class>, by their path below `root`, with numbers of classes."""
    return [
        (f"{place}/{name}", label)
        for label, class_name in enumerate(classes)
        for place in [Path(part, class_name).as_posix()]
        for name in images_in(root / place)
    ]


def some(names: Sequence[str]) -> str:
    """The first of `names`, and how many there are."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{len(names)} of them: {shown}, …"


def words(name: str) -> str:
    """The name of a class, out of a list or of a folder, as a prompt should say it.

    >>> words("001.Black_footed_Albatross")
    'Black footed Albatross'
    """
    return re.sub(r"[\s_]+", " ", re.sub(r"^\d+[.\s_-]+", "", name)).strip()
