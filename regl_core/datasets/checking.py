"""What is there of a profile's data sets, and what is missing: `make data`."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from ..data import PACKED
from ..errors import Halt, ReglError
from ..params import Settings
from ..settings.frozen import report
from .base import Loader
from .registry import find


def check(settings: Settings, packed: Path = PACKED) -> None:
    """Print of each data set what was found or what is wrong, and decode the images of all others.

    Every image is decoded, so a broken one is found. packed : as for `data.load`.

    Raises
    ------
    ReglError
        Some data set cannot be used, or the disk is too small for the decoded images of all that
        are whole; that is told before the first is decoded.
    """
    loaders = [find(name, its, packed) for name, its in settings.datasets.items()]
    whole = [loader for loader in loaders if _found(loader)]
    _check_disk(whole, packed)
    usable = [loader for loader in whole if _decoded(loader)]
    if lost := [loader.name for loader in loaders if loader not in usable]:
        raise ReglError(
            f"{len(lost)} of {len(loaders)} data sets cannot be used: {', '.join(lost)}; what is "
            "wrong stands above"
        )


def _found(loader: Loader) -> bool:
    """Whether `loader` has all it needs; says so."""
    if problems := loader.problems():
        print(f"{loader.name}: cannot be used\n  {report(problems)}", flush=True)
        return False
    listing = loader.listed()
    train, test = (f"{len(part):,}" for part in listing.parts)
    print(
        f"{loader.name}: {train} training and {test} test images of {len(listing.classes)} "
        f"classes {loader.place}",
        flush=True,
    )
    return True


def _check_disk(loaders: Iterable[Loader], packed: Path) -> None:
    needed = sum(loader.bytes_missing() for loader in loaders)
    there = next(folder for folder in (packed, *packed.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ReglError(
            f"the decoded images need {needed / 1e9:.1f} GB more below {packed}, where "
            f"{free / 1e9:.1f} GB are free; free some space, or choose less: DATASETS=…"
        )


def _decoded(loader: Loader) -> bool:
    """Whether all images of `loader` can be decoded; says which cannot."""
    try:
        digest = loader.load().digest
    except Halt:
        raise
    except ReglError as error:
        print(error, flush=True)
        return False
    print(f"{loader.name}: every image is whole, digest {digest[:12]}", flush=True)
    return True
