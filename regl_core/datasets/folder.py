"""Any folder of images, with a folder for each class."""

import re
from collections import Counter
from pathlib import Path
from typing import ClassVar

from .base import FileLoader
from .listing import Listing, Unfit, by_class, folders_in, lines, some, words

TESTS = ("test", "val")
NAMES = "classes.txt"


class Folder(FileLoader):
    """Images in <class>/, or in train/<class>/ and test/<class>/ (val/<class>/ without test/).

    Without such parts `listing.TEST_SHARE` of each class, drawn by `split_seed` from the sorted
    names, is for test. Prompts name a class as its folder, without a leading number and
    underscores, or as classes.txt beside train/ or beside the classes has it: on each line the
    folder's name, a tab or comma, and the name for prompts.
    """

    kind: ClassVar[str] = "folder"
    layout: ClassVar[str] = "a folder with a folder of images for each class"
    source: ClassVar[str] = "see `Folder` in regl_core/datasets/folder.py for what it may hold"

    def found(self, root: Path) -> Listing:
        folders = folders_in(root)
        if "train" not in folders:
            names = self._names(root, folders)
            everything = by_class(root, "", folders)
            images = Counter(label for _, label in everything)
            if lone := [name for k, name in enumerate(folders) if images[k] == 1]:
                raise Unfit(f"a single image, expected two or more, of {some(lone)}")
            return Listing.seeded(names, root, everything, *self.split_path)
        test = next((it for it in TESTS if it in folders), None)
        if test is None:
            raise Unfit(f"train/ is there, but none of {', '.join(f'{it}/' for it in TESTS)}")
        classes = folders_in(root / "train")
        if strange := sorted({*folders_in(root / test)} - {*classes}):
            raise Unfit(f"classes in {test}/ that train/ lacks: {some(strange)}")
        names = self._names(root, classes)
        parts = (by_class(root, part, classes) for part in ("train", test))
        return Listing.official(names, root, *parts)

    def _names(self, root: Path, folders: list[str]) -> list[str]:
        """The names for prompts of the classes in `folders`."""
        if len(folders) < 2:
            raise Unfit(f"{len(folders)} folders of classes, expected two or more")
        file = root / NAMES
        if not file.is_file():
            return list(map(words, folders))
        rows = [re.split(r"[\t,]", line, maxsplit=1) for line in lines(file) if line.strip()]
        names = {row[0].strip(): row[-1].strip() for row in rows if len(row) == 2}
        wrong = [f"no folder {some(strange)}"] if (strange := sorted({*names} - {*folders})) else []
        if missing := [it for it in folders if not names.get(it)]:
            wrong.append(f"no name for {some(missing)}")
        if wrong or len(names) < len(rows):
            wrong = wrong or ["lines that are twice there"]
            raise Unfit(
                f"{NAMES}: {', '.join(wrong)}; expected in each line a folder, a tab or comma, "
                "and its name"
            )
        return [names[it] for it in folders]
