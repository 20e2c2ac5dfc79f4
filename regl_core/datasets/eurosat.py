"""EuroSAT: satellite images of ten kinds of land."""

import hashlib
import re
from pathlib import Path
from typing import ClassVar

import numpy as np

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
# `split_digest` of all images at split_seed 0
SPLIT = "aa7dd89efd4e21770b4327eea71c5579a68933271108e620fe3924e7bd8173b1"
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

    def miscounts(self, listing: Listing) -> list[str]:
        problems = super().miscounts(listing)
        if not problems and not self.settings.split_seed and split_digest(listing) != SPLIT:
            return [
                "its split at split_seed 0 is not the one stored in regl_core/datasets/eurosat.py: "
                f"its files have other names, or numpy {np.__version__} draws otherwise"
            ]
        return problems

    def published(self) -> Listing:
        files = [
            (name, k)
            for k, (kind, count) in enumerate(IMAGES.items())
            for name in sorted(f"{kind}/{kind}_{i}.jpg" for i in range(1, count + 1))
        ]
        return Listing.seeded(map(_words, IMAGES), Path(), files, *self.split_path)


def split_digest(listing: Listing) -> str:
    """SHA-256, in hex, of the names of the test images, sorted, a line each."""
    names = sorted(Path(listing.files[row]).name for row in listing.test.rows.tolist())
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _words(name: str) -> str:
    """A name whose words begin with capitals, in words: HerbaceousVegetation, say."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
