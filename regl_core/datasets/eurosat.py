"""EuroSAT: satellite images of ten kinds of land."""

import re
from pathlib import Path
from typing import ClassVar

from .base import FileLoader
from .listing import Listing, Unfit, by_class, folders_in, some

IMAGES = {  # of each class; Helber et al. 2019
    "AnnualCrop": 3000,
    "Forest": 3000,
    "HerbaceousVegetation": 3000,
    "Highway": 2500,
    "Industrial": 2500,
    "Pasture": 2000,
    "PermanentCrop": 2500,
    "Residential": 3000,
    "River": 2500,
    "SeaLake": 3000,
}
FOLDERS = ("2750", "EuroSAT_RGB", ".")  # of the classes, in the archives of the years


class EuroSat(FileLoader):
    """EuroSAT's RGB images (Helber et al. 2019), 64 × 64.

    There is no official split: `listing.TEST_SHARE` of each class, drawn by `split_seed` from the
    sorted names, is for test.
    """

    kind: ClassVar[str] = "eurosat"
    layout: ClassVar[str] = "a folder with 2750/, which has a folder for each class"
    numbers: ClassVar[tuple[int, int, int]] = (10, 21600, 5400)
    source: ClassVar[str] = (
        "get EuroSAT's RGB images (EuroSAT.zip or EuroSAT_RGB.zip) from its page at Zenodo or from "
        "its authors' repository"
    )

    def found(self, root: Path) -> Listing:
        place = next(it for it in FOLDERS if (root / it).is_dir())
        folders = folders_in(root / place)
        classes = [name for name in folders if name in IMAGES]
        if len(classes) < 2:
            raise Unfit(f"no folders of classes such as {', '.join(IMAGES)}")
        if strange := [name for name in folders if name not in IMAGES]:
            raise Unfit(f"folders that are no class of EuroSAT: {some(strange)}")
        everything = by_class(root, place, classes)
        return Listing.seeded(map(_words, classes), root, everything, *self.split_path)

    def published(self) -> Listing:
        files = [
            (name, k)
            for k, (kind, count) in enumerate(IMAGES.items())
            for name in sorted(f"{kind}/{kind}_{i}.jpg" for i in range(1, count + 1))
        ]
        return Listing.seeded(map(_words, IMAGES), Path(), files, *self.split_path)


def _words(name: str) -> str:
    """A name whose words begin with capitals, in words: HerbaceousVegetation, say."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
