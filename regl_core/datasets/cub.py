"""CUB-200-2011: 200 species of birds."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from .base import FileLoader
from .listing import Listing, Unfit, images_in, some, words

if TYPE_CHECKING:
    import pandas as pd

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
    numbers: ClassVar[tuple[int, int, int]] = (200, 5994, 5794)
    source: ClassVar[str] = (
        "get Caltech-UCSD Birds-200-2011 (CUB_200_2011.tgz) from its page at Caltech's vision lab"
    )

    def found(self, root: Path) -> Listing:
        tables = {name: _table(root / f"{name}.txt") for name in TABLES}
        if problems := [its for its in tables.values() if isinstance(its, str)]:
            raise Unfit(*problems)
        images, labels, split, classes = tables.values()
        problems = [
            f"{name}.txt does not number the same images as images.txt"
            for name in TABLES[1:3]
            if not tables[name].index.equals(images.index)
        ]
        if strange := sorted({*labels} - {*map(str, classes.index)}):
            problems.append(f"image_class_labels.txt has classes without a name: {some(strange)}")
        if strange := sorted({*split} - {"0", "1"}):
            problems.append(f"train_test_split.txt has {some(strange)}, expected 0 or 1")
        there = set(images_in(root / "images"))
        if missing := [name for name in images if name not in there]:
            problems.append(f"missing below images/: {some(missing)}")
        if problems:
            raise Unfit(*problems)
        numbers = {str(key): number for number, key in enumerate(classes.index)}
        train, test = (
            [(f"images/{images[key]}", numbers[labels[key]]) for key in split.index[split == part]]
            for part in ("1", "0")
        )
        return Listing.official(map(words, classes), root, train, test)


def _table(file: Path) -> "pd.Series | str":
    """What follows the number in each line of `file`, by that, or what is wrong with the file."""
    import pandas as pd  # half a second of imports

    try:
        text = pd.read_csv(file, sep=" ", names=["key", "its"], dtype={"key": int, "its": str})
    except FileNotFoundError:
        return f"{file.name} is missing"
    except (OSError, ValueError) as error:
        return f"{file.name} cannot be read: {error}".strip()
    if text["its"].isna().any():
        return f"{file.name} has a number without a text, after {text['its'].isna().argmax()} lines"
    return text.set_index("key")["its"].sort_index()
