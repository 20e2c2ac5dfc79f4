"""Stanford Cars: 196 makes, models and years."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from .base import FileLoader
from .listing import Listing, Unfit, images_in, some

META = "devkit/cars_meta.mat"
PARTS = {
    "cars_train": "devkit/cars_train_annos.mat",
    "cars_test": "cars_test_annos_withlabels.mat",
}


class Cars(FileLoader):
    """Stanford Cars (Krause et al. 2013), with its own split and names."""

    kind: ClassVar[str] = "cars"
    layout: ClassVar[str] = (
        f"a folder with {META}, {', '.join(PARTS.values())}, {'/ and '.join(PARTS)}/"
    )
    numbers: ClassVar[tuple[int, int, int]] = (196, 8144, 8041)
    source: ClassVar[str] = (
        "Stanford's own page of the Cars data set is closed: get cars_train.tgz, cars_test.tgz, "
        "car_devkit.tgz and cars_test_annos_withlabels.mat from a mirror of it"
    )

    def found(self, root: Path) -> Listing:
        names = _table(root, META, "class_names", lambda rows: list(map(str, rows)))
        read = [_table(root, file, "annotations", _labelled) for file in PARTS.values()]
        if problems := [it for it in (names, *read) if isinstance(it, str)]:
            raise Unfit(*problems)
        parts = []
        for (folder, file), own in zip(PARTS.items(), read, strict=True):
            there = set(images_in(root / folder))
            if missing := [name for name, _ in own if name not in there]:
                problems.append(f"missing in {folder}/: {some(missing)}")
            if strange := sorted({k + 1 for _, k in own if not 0 <= k < len(names)}):
                problems.append(
                    f"{file} has classes without a name: {some(list(map(str, strange)))}"
                )
            parts.append([(f"{folder}/{name}", label) for name, label in own])
        if problems:
            raise Unfit(*problems)
        return Listing.official(names, root, *parts)


def _labelled(rows: np.ndarray) -> list[tuple[str, int]]:
    return [(str(row["fname"]), int(row["class"]) - 1) for row in rows]


def _table(root: Path, file: str, field: str, read: Callable[[np.ndarray], list]) -> list | str:
    """What `read` makes of the rows of `field` in a MATLAB file, or what is wrong with it."""
    from scipy.io import loadmat

    try:
        return read(np.atleast_1d(loadmat(root / file, squeeze_me=True)[field]))
    except Exception as error:  # of many types, as files can be broken in many ways
        return f"{file} cannot be read: {error}"
