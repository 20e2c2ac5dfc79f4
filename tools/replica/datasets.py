"""Small replicas of the paper's data sets, in the very form in which the originals lie on a disk.

Images show their class: a colour and stripes of its own, with noise, so that a network can learn
them. Each function fills `folder` and returns it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regl_core.datasets.eurosat import IMAGES
from regl_core.datasets.imagenet import synsets
from regl_core.seeds import numpy_generator

BIRDS = ("Black_footed_Albatross", "Laysan_Albatross", "Sooty_Albatross", "Groove_billed_Ani")
CARS = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012")
SIZES = ((80, 60), (60, 80), (96, 72), (64, 64))  # width and height, in turn


def paper(folder: Path, classes: int = 3, train: int = 4, test: int = 2) -> dict[str, Path]:
    """The paper's five data sets, by name; those of ImageNet have all their classes (CMC's)."""
    both = dict.fromkeys(synsets("imagefruit") + synsets("imagenet100_cmc"))
    root = imagenet(folder / "imagenet", both, train, test)
    return {
        "imagefruit": root,
        "imagenet100": root,
        "cub": cub(folder / "cub", classes, train, test),
        "cars": cars(folder / "cars", classes, train, test),
        "eurosat": eurosat(folder / "eurosat", classes, train + test),
    }


def picture(label: int, size: tuple[int, int], *path: int | str) -> Image.Image:
    """An RGB image of the class `label`, (width, height) pixels, its noise drawn by `path`."""
    look, noise = numpy_generator("replica", label), numpy_generator("replica", label, *path)
    colours, waves = look.uniform(40, 215, (2, 3)), look.uniform(-0.4, 0.4, 2)
    y, x = np.mgrid[: size[1], : size[0]]
    stripes = np.sin(waves[0] * x + waves[1] * y + noise.uniform(0, 6))[..., None]
    pixels = colours[0] + (colours[1] - colours[0]) * (stripes + 1) / 2
    pixels += noise.normal(0, 12, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def cub(folder: Path, classes: int = 3, train: int = 4, test: int = 2, seed: int = 0) -> Path:
    """CUB-200-2011: lists of images, labels and the split in text files, numbered from 1."""
    names = [
        f"{k + 1:03d}.{BIRDS[k] if k < len(BIRDS) else f'Bird_{k + 1}'}" for k in range(classes)
    ]
    rows = []
    for k, name in enumerate(names):
        for i in range(train + test):
            place = f"{name}/{name[4:]}_{i + 1:04d}_{796000 + i}.jpg"
            _save(picture(k, SIZES[i % 4], seed, i), folder / "images" / place)
            rows.append((len(rows) + 1, place, k + 1, int(i < train)))
    _lines(folder / "classes.txt", ((k + 1, name) for k, name in enumerate(names)))
    _lines(folder / "images.txt", ((number, place) for number, place, _, _ in rows))
    _lines(folder / "image_class_labels.txt", ((number, label) for number, _, label, _ in rows))
    _lines(folder / "train_test_split.txt", ((number, part) for number, _, _, part in rows))
    return folder


def cars(folder: Path, classes: int = 3, train: int = 4, test: int = 2, seed: int = 0) -> Path:
    """Stanford Cars: the images of a part in one folder, all else in MATLAB files."""
    from scipy.io import savemat

    (folder / "devkit").mkdir(parents=True, exist_ok=True)
    names = np.empty((1, classes), dtype=object)
    names[0] = [CARS[k] if k < len(CARS) else f"Car {k + 1} Sedan 2012" for k in range(classes)]
    savemat(folder / "devkit/cars_meta.mat", {"class_names": names})
    corners = [(f"bbox_{it}", object) for it in ("x1", "y1", "x2", "y2")]
    for part, count, file in (
        ("train", train, "devkit/cars_train_annos.mat"),
        ("test", test, "cars_test_annos_withlabels.mat"),
    ):
        rows = np.empty((1, classes * count), [*corners, ("class", object), ("fname", object)])
        for number in range(classes * count):
            label, size = number % classes, SIZES[number % 4]
            _save(
                picture(label, size, seed, part, number),
                folder / f"cars_{part}/{number + 1:05d}.jpg",
            )
            rows[0, number] = (1, 1, *size, label + 1, f"{number + 1:05d}.jpg")
        savemat(folder / file, {"annotations": rows})
    return folder


def eurosat(folder: Path, classes: int = 3, images: int = 10, seed: int = 0) -> Path:
    """EuroSAT: a folder for each class in 2750/, images of 64 × 64, no split."""
    for k, name in enumerate(list(IMAGES)[:classes]):
        for i in range(1, images + 1):
            _save(picture(k, (64, 64), seed, i), folder / f"2750/{name}/{name}_{i}.jpg")
    return folder


def imagenet(
    folder: Path, synsets: Iterable[str], train: int = 4, test: int = 2, seed: int = 0
) -> Path:
    """ImageNet: a folder for each synset id in train/ and val/; some images are grey or CMYK."""
    number = 0
    for k, synset in enumerate(synsets):
        for i in range(train):
            image = picture(k, SIZES[i % 4], seed, "train", i).convert(("RGB", "L", "CMYK")[i % 3])
            _save(image, folder / f"train/{synset}/{synset}_{i + 1}.JPEG")
        for i in range(test):
            number += 1
            image = picture(k, SIZES[i % 4], seed, "val", i)
            _save(image, folder / f"val/{synset}/ILSVRC2012_val_{number:08d}.JPEG")
    return folder


def photos(folder: Path, classes: Iterable[str], images: int = 5, seed: int = 0) -> Path:
    """An image folder without a split, in PNG."""
    for k, name in enumerate(classes):
        for i in range(images):
            _save(picture(k, SIZES[i % 4], seed, i), folder / name / f"{i}.png")
    return folder


def _save(image: Image.Image, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, quality=90)


def _lines(file: Path, rows: Iterable[tuple[Any, ...]]) -> None:
    file.write_text("".join(f"{' '.join(map(str, row))}\n" for row in rows), encoding="utf-8")
