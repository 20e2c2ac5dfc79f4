"""Stanford Cars: 196 makes, models and years."""

from pathlib import Path
from typing import Any, ClassVar

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
    signs: ClassVar[tuple[str, ...]] = ("devkit",)
    numbers: ClassVar[tuple[int, int, int]] = (196, 8144, 8041)
    source: ClassVar[str] = (
        "Stanford's own page of the Cars data set is closed: get cars_train.tgz, cars_test.tgz, "
        "car_devkit.tgz and cars_test_annos_withlabels.mat from a mirror of it"
    )

    def found(self, root: Path) -> Listing:
        tables = {
            file: _table(root, file, field)
            for file, field in [(META, "class_names")]
            + [(file, "annotations") for file in PARTS.values()]
        }
        if problems := [text for text in tables.values() if isinstance(text, str)]:
            raise Unfit(*problems)
        names = [str(name) for name in tables[META]]
        parts, problems = [], []
        for folder, file in PARTS.items():
            there = set(images_in(root / folder))
            own = [(str(row["fname"]), int(row["class"]) - 1) for row in tables[file]]
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


def _table(root: Path, file: str, field: str) -> np.ndarray | str:
    """The rows of `field` in a MATLAB file, or in words what is wrong with it."""
    from scipy.io import loadmat

    if not (root / file).is_file():
        return f"{file} is missing"
    try:
        found: Any = loadmat(root / file, squeeze_me=True)
    except Exception as error:  # of many types, as files can be broken in many ways
        return f"{file} cannot be read: {error}"
    expected = {"annotations": {"fname", "class"}, "class_names": set()}[field]
    rows = np.atleast_1d(found.get(field, np.empty(0)))
    if not len(rows) or not expected <= set(rows.dtype.names or ()):
        return f"{file} has no {field}" + (f" with {', '.join(sorted(expected))}" * bool(expected))
    return rows
