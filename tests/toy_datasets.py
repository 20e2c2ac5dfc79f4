"""Settings and replicas that tests of data sets share."""

from pathlib import Path

from regl_core.datasets import Loader, find
from regl_core.params import DatasetSettings
from tools.replica import datasets as replica

FRUIT = [  # in the order of the published list
    f"n077{it}" for it in (53275, 53592, 45940, 47607, 49582, 68694, 53113, 20875, 18472, 42313)
]
NAMES = ["imagefruit", "cub", "cars", "eurosat", "folder:photos"]


def settings(root: Path | None, **changes) -> DatasetSettings:
    usual = dict(clients=2, synthetic_per_class=1, train_per_class=None, image_side=32)
    usual |= dict(split_seed=0, class_list=None, complete=False, validation_share=0.0)
    usual |= dict(root=root and str(root), published=None)
    return DatasetSettings(**{**usual, **changes})


def loader(name: str, root: Path, **changes) -> Loader:
    """Packs go beside the data set."""
    return find(name, settings(root, **changes), root.parent / "packed")


def replicas(folder: Path) -> dict[str, Path]:
    """A replica of each data set, by name."""
    return {
        "imagefruit": replica.imagenet(folder / "imagenet", FRUIT),
        "cub": replica.cub(folder / "cub"),
        "cars": replica.cars(folder / "cars"),
        "eurosat": replica.eurosat(folder / "eurosat"),
        "folder:photos": replica.photos(folder / "photos", ["cat", "dog", "eel"]),
    }
