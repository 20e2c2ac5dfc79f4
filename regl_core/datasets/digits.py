"""Scikit-learn's handwritten digits, which come with the library."""

from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .base import Loader
from .listing import Listing, Subset, Unfit

if TYPE_CHECKING:
    from ..data import Dataset

CHOOSING = 60  # images of each class
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Digits(Loader):
    """1,797 handwritten digits, white on black, 8 × 8 images with 17 grey levels.

    Source: the test set of UCI's "Optical Recognition of Handwritten Digits" (Alpaydin and
    Kaynak 1998), 174 to 183 per class. `CHOOSING` of each class, always the same, are kept for
    choosing settings: they stand in the place of all others where a `validation_share` is asked
    for, whatever it is, so that no image behind a table has a part in a choice. There is no
    official split: of these or those, `train_per_class` of each class, drawn from `split_seed`, are
    for training and the rest for test; a larger number adds images to the training set and never
    exchanges one. The images are enlarged bilinearly and their grey is repeated to RGB.
    """

    kind: ClassVar[str] = "digits"

    def everything(self) -> Listing:
        count, everything = self.settings.train_per_class, Subset.of_all(_raw()[1])
        choosing, others = everything.divided(lambda of_class: CHOOSING, 0, "choosing", self.kind)
        part = choosing if self.settings.validation_share else others
        most = min(Counter(part.labels.tolist()).values()) - 1
        if count is None or count > most:
            raise Unfit(
                f"datasets.{self.name}.train_per_class: given {count}, expected at most {most}: "
                "this data set has no official split and each class must keep an image for the test"
            )
        return Listing(NAMES, *part.divided(lambda of_class: count, *self.split_path))

    published = everything

    def listed(self) -> Listing:
        return self.everything()  # which has cut them

    @property
    def place(self) -> str:
        return "out of scikit-learn"

    def load(self) -> "Dataset":
        import torch
        from torch.nn.functional import interpolate

        from ..data import Dataset, Split

        listing, side = self.listed(), self.settings.image_side
        # Scaled in float64 before it is multiplied: at 16 pixels every step is exact.
        grey = torch.from_numpy(_raw()[0])[:, None]
        grey = interpolate(grey, size=(side, side), mode="bilinear")
        images = (grey * (255 / 16)).round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
        parts = (Split(images[it.rows], torch.from_numpy(it.labels)) for it in listing.parts)
        return Dataset(self.name, listing.classes, *parts)


def _raw() -> tuple[np.ndarray, np.ndarray]:
    """Images, float64 (n, 8, 8), from 0 to 16, and labels, int64 (n,).

    From the file that `sklearn.datasets.load_digits` reads, whose import takes seconds.
    """
    library = Path(find_spec("sklearn").origin).parent
    rows = np.loadtxt(library / "datasets/data/digits.csv.gz", delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(int)
