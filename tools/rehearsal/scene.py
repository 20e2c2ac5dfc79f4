"""What a rehearsal plays with: a copy of the program, small data sets, models without knowledge."""

import shutil
from pathlib import Path

from regl_core.params import ROOT

from ..replica import datasets, models
from .changes import DATA
from .changes import models as places

PROGRAM = ("regl_core", "notebooks", "params")
LISTS = ("imagefruit", "imagenet100_cmc")  # of classes
CLASSES = 3
TRAIN, TEST = 8, 4  # images of a class


def program(folder: Path) -> Path:
    """Copies the program to `folder`, which is returned: its store and its figures are its own.

    The copy's lists of ImageNet's classes end after CLASSES of them. All else is as it stands.
    """
    for part in PROGRAM:
        left = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(ROOT / part, folder / part, ignore=left)
    for name in LISTS:
        file = folder / f"regl_core/paper/{name}.tsv"
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        notes = [line for line in lines if line.startswith("#")]
        rows = [line for line in lines if not line.startswith("#")]
        file.write_text("".join([*notes, *rows[:CLASSES]]), encoding="utf-8")
    return folder


def replicas(home: Path) -> None:
    """Makes all data sets and models below `home`, which `changes` name."""
    datasets.paper(home / DATA, CLASSES, TRAIN, TEST)
    for like in ("1.5", "2.1"):
        folders = places(home, like)
        models.stable_diffusion(Path(folders["foundation.name"]), like)
        models.clip(Path(folders["foundation.image_encoder"]), like)
    models.blip2(Path(folders["foundation.captioner"]))
