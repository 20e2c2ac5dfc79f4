"""Which images with which labels a data set has, and how it is cut; no pixel is looked at."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import ReglError
from ..params import DatasetSettings
from ..seeds import numpy_generator
from ..settings.frozen import report

TEST_SHARE = 0.2  # of a class, where no split is official; as Helber et al. 2019 split EuroSAT

Labelled = Sequence[tuple[str, int]]  # files, by their path below a root, and labels


class Unfit(ReglError):
    """A data set cannot be used: `problems`, a line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(report(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, eq=False)
class Part:
    """The training or the test set: where its images stand in the list of all, and their labels.

    rows, labels : int64 (n,)
    """

    rows: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def divided(self, count: Callable[[int], int], *path: int | str) -> tuple["Part", "Part"]:
        """`count` (of how many there are) images of each class, drawn by `path`, and the others."""
        labels = self.labels.numpy()
        drawn = np.zeros(len(labels), dtype=bool)
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            order = numpy_generator(*path, int(label)).permutation(own)
            drawn[order[: count(len(own))]] = True
        return self._at(drawn), self._at(~drawn)

    def _at(self, chosen: np.ndarray) -> "Part":
        index = torch.from_numpy(chosen)
        return Part(self.rows[index], self.labels[index])


@dataclass(frozen=True, eq=False)
class Listing:
    """The classes of a data set, by names that fit into a prompt, and its two parts.

    root, files : the image files and the folder below which they lie; none where images do not
    come from files
    """

    classes: tuple[str, ...]
    train: Part
    test: Part
    root: Path = Path()
    files: tuple[str, ...] = ()

    @classmethod
    def official(
        cls, classes: Iterable[str], root: Path, train: Labelled, test: Labelled
    ) -> "Listing":
        """Files that come as a training and a test set."""
        files, labels = zip(*train, *test, strict=True) if train or test else ((), ())
        everything = numbered(labels)
        parts = (slice(len(train)), slice(len(train), None))
        train, test = (Part(everything.rows[part], everything.labels[part]) for part in parts)
        return cls(tuple(classes), train, test, root, files)

    @classmethod
    def seeded(
        cls, classes: Iterable[str], root: Path, everything: Labelled, *path: int | str
    ) -> "Listing":
        """Files without an official split: `TEST_SHARE` of each class, drawn by `path`, to test."""
        files, labels = zip(*everything, strict=True) if everything else ((), ())
        test, train = numbered(labels).divided(_test_images, *path)
        return cls(tuple(classes), train, test, root, files)

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
        seed, kind = settings.split_seed, name.partition(":")[0]
        listing = self
        if (count := settings.train_per_class) is not None:
            fewest = self._fewest()
            if count > fewest:
                raise Unfit(
                    [
                        f"datasets.{name}.train_per_class: given {count}, expected at most "
                        f"{fewest}, the training images of the smallest class"
                    ]
                )
            train, _ = listing.train.divided(lambda of_class: count, seed, "train", kind)
            listing = replace(listing, train=train)
        if share := settings.validation_share:
            fewest = listing._fewest()
            if fewest - _share(share, fewest) < 1:
                raise Unfit(
                    [
                        f"datasets.{name}.validation_share: given {share}, expected less: a class "
                        f"of {fewest} training images would keep none"
                    ]
                )
            test, train = listing.train.divided(
                lambda of_class: _share(share, of_class), seed, "validation", kind
            )
            listing = replace(listing, train=train, test=test)
        return listing

    def counts(self) -> tuple[list[int], list[int]]:
        """How many training and test images there are of each class."""
        size = len(self.classes)
        return tuple(part.labels.bincount(minlength=size).tolist() for part in self.parts)

    @property
    def parts(self) -> tuple[Part, Part]:
        """The training and the test set."""
        return self.train, self.test

    def _fewest(self) -> int:
        return int(self.train.labels.bincount(minlength=len(self.classes)).min())


def numbered(labels: Sequence[int]) -> Part:
    """All of `labels`, in their order."""
    return Part(torch.arange(len(labels)), torch.tensor(labels, dtype=torch.int64))


def tallied(classes: Sequence[str], train: Sequence[int], test: Sequence[int]) -> Listing:
    """A listing without files: so many training and test images of each class."""
    parts = [
        [k for k, count in enumerate(counts) for _ in range(count)] for counts in (train, test)
    ]
    both = numbered([*parts[0], *parts[1]])
    first, second = slice(len(parts[0])), slice(len(parts[0]), None)
    return Listing(
        tuple(classes),
        Part(both.rows[first], both.labels[first]),
        Part(both.rows[second], both.labels[second]),
    )


def miscounted(listing: Listing, classes: int, train: int, test: int) -> list[str]:
    """In words, where a listing has not these numbers of classes and images."""
    counted = (
        ("classes", len(listing.classes), classes),
        ("training images", len(listing.train), train),
        ("test images", len(listing.test), test),
    )
    return [
        f"{found:,} {what}, expected {expected:,}"
        for what, found, expected in counted
        if found != expected
    ]


def spread(total: int, classes: int) -> list[int]:
    """`total` images over `classes`, as evenly as it goes."""
    return [total // classes + (k < total % classes) for k in range(classes)]


def _test_images(of_class: int) -> int:
    return _share(TEST_SHARE, of_class)


def _share(share: float, of_class: int) -> int:
    return max(1, round(share * of_class))
