"""Classes of ImageNet, chosen by their synset ids: ImageFruit and ImageNet100."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from ..params import ROOT
from .base import FileLoader
from .listing import Listing, Unfit, by_class, some

LISTS = ROOT / "regl_core" / "paper"
FEWEST, MOST, VALIDATION = 732, 1300, 50  # images of a class; Russakovsky et al. 2015


class ImageNet(FileLoader):
    """Some classes of ImageNet (ILSVRC 2012), whose validation images are the test set.

    They are found by their synset ids, in the order of a list. Names that mean several things
    (crane, drake) are replaced by those of regl_core/paper/imagenet_prompts.tsv.
    """

    layout: ClassVar[str] = "a folder with train/ and val/, each with a folder for each synset id"
    source: ClassVar[str] = (
        "get ILSVRC 2012 (ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar) from ImageNet's page, "
        "and sort its validation images into folders, as torchvision.datasets.ImageNet does"
    )

    @property
    @abstractmethod
    def list_name(self) -> str:
        """The file of the classes, without suffix."""

    def found(self, root: Path) -> Listing:
        classes = self.classes()
        problems = [
            f"folders missing in {part}/: {some(missing)}"
            for part in ("train", "val")
            if (missing := [it for it in classes if not (root / part / it).is_dir()])
        ]
        if problems:
            raise Unfit(*problems)
        parts = (by_class(root, part, classes) for part in ("train", "val"))
        return Listing.official(classes.values(), root, *parts)

    def miscounts(self, listing: Listing) -> list[str]:
        problems = []
        wanted = (("train", FEWEST, MOST), ("val", VALIDATION, VALIDATION))
        for (part, fewest, most), counts in zip(wanted, listing.counts(), strict=True):
            wrong = [
                f"{synset} has {count}"
                for synset, count in zip(self.classes(), counts, strict=True)
                if not fewest <= count <= most
            ]
            if wrong:
                expected = f"{fewest} to {most:,}" if fewest < most else f"{fewest}"
                problems.append(f"{part}/: {some(wrong)}; expected {expected} images of a class")
        return problems

    def published(self) -> Listing:
        names = list(self.classes().values())
        return Listing.counted(names, [MOST] * len(names), [VALIDATION] * len(names))

    def classes(self) -> dict[str, str]:
        """The name for prompts of each synset id."""
        clear = {row[0]: row[1] for row in _rows("imagenet_prompts")}
        return {row[0]: clear.get(row[0], row[2]) for row in _rows(self.list_name)}


class ImageFruit(ImageNet):
    """Ten fruits and vegetables (Cazenavette et al. 2022)."""

    kind: ClassVar[str] = "imagefruit"
    list_name: ClassVar[str] = "imagefruit"


class ImageNet100(ImageNet):
    """A hundred classes: by `class_list` those of CMC (Tian et al. 2020), which the paper cites,
    or those of federated generative learning (Zhang et al. 2023)."""

    kind: ClassVar[str] = "imagenet100"

    @property
    def list_name(self) -> str:
        return f"imagenet100_{self.settings.class_list or 'cmc'}"


def synsets(name: str) -> list[str]:
    """The synset ids of a list in regl_core/paper."""
    return [row[0] for row in _rows(name)]


def _rows(name: str) -> list[list[str]]:
    """The rows of a list in regl_core/paper, without its comments."""
    text = (LISTS / f"{name}.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and line[0] != "#"]
