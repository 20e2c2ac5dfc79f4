"""CUB-200-2011: 200 species of birds."""

from pathlib import Path
from typing import ClassVar

from .base import FileLoader
from .listing import Listing, Unfit, images_in, lines, some, words

TABLES = ("images", "image_class_labels", "train_test_split", "classes")


class Cub(FileLoader):
    """Caltech-UCSD Birds-200-2011 (Wah et al. 2011), with its own split.

    Classes are named as in classes.txt, without number and underscores.
    """

    kind: ClassVar[str] = "cub"
    layout: ClassVar[str] = (
        "the folder CUB_200_2011 with images.txt, image_class_labels.txt, train_test_split.txt, "
        "classes.txt and images/"
    )
    signs: ClassVar[tuple[str, ...]] = ("images.txt",)
    numbers: ClassVar[tuple[int, int, int]] = (200, 5994, 5794)
    source: ClassVar[str] = (
        "get Caltech-UCSD Birds-200-2011 (CUB_200_2011.tgz) from its page at Caltech's vision lab"
    )

    def found(self, root: Path) -> Listing:
        texts = {name: _table(root / f"{name}.txt") for name in TABLES}
        if problems := [text for text in texts.values() if isinstance(text, str)]:
            raise Unfit(*problems)
        images, labels, split, classes = texts.values()
        problems = [
            f"{name}.txt does not number the same images as images.txt"
            for name in TABLES[1:3]
            if texts[name].keys() != images.keys()
        ]
        numbers = {key: number for number, key in enumerate(sorted(classes))}
        if strange := sorted({label for label in labels.values() if _number(label) not in numbers}):
            problems.append(f"image_class_labels.txt has classes without a name: {some(strange)}")
        if strange := sorted(set(split.values()) - {"0", "1"}):
            problems.append(f"train_test_split.txt has {some(strange)}, expected 0 or 1")
        there = set(images_in(root / "images"))
        if missing := [name for name in images.values() if name not in there]:
            problems.append(f"missing below images/: {some(missing)}")
        if problems:
            raise Unfit(*problems)
        parts: dict[str, list[tuple[str, int]]] = {"1": [], "0": []}
        for key in sorted(images):
            place = f"images/{images[key]}"
            parts[split[key]].append((place, numbers[_number(labels[key])]))
        names = [words(classes[key]) for key in sorted(classes)]
        return Listing.official(names, root, parts["1"], parts["0"])


def _table(file: Path) -> dict[int, str] | str:
    """What follows the number in each line of `file`, or in words what is wrong with it."""
    if not file.is_file():
        return f"{file.name} is missing"
    rows = {}
    for count, line in enumerate(lines(file), 1):
        number, _, rest = line.strip().partition(" ")
        if not line.strip():
            continue
        if _number(number) is None or not rest.strip():
            return f"{file.name}, line {count}: {line[:60]!r}, expected a number and a text"
        rows[int(number)] = rest.strip()
    return rows


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
