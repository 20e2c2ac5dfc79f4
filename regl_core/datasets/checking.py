"""What is there of a profile's data sets, and what is missing: `make data`."""

from pathlib import Path

from ..errors import Halt, ReglError
from ..params import Settings
from ..settings import in_one
from ..system import check_room
from .base import Loader
from .packing import PACKED
from .registry import find


def check(settings: Settings, packed: Path = PACKED) -> None:
    """Print of each data set what was found or what is wrong, and decode the images of all others.

    Every image is decoded, so a broken one is found. packed : as for `load`.

    Raises
    ------
    ReglError
        Some data set cannot be used, or the disk is too small for the decoded images of all that
        are whole; that is told before the first is decoded.
    """
    loaders = [find(name, its, packed) for name, its in settings.datasets.items()]
    whole = [loader for loader in loaders if _found(loader)]
    needed = sum(pack.bytes_missing() for loader in whole if (pack := loader.pack()))
    check_room(needed, packed, "the decoded images", ", or choose less: DATASETS=…")
    decoded = [loader for loader in whole if _decoded(loader)]
    if lost := [loader.name for loader in loaders if loader not in decoded]:
        raise ReglError(
            f"{len(lost)} of {len(loaders)} data sets cannot be used: {', '.join(lost)}; what is "
            "wrong stands above"
        )


def _found(loader: Loader) -> bool:
    """Whether `loader` has all it needs; says so."""
    if problems := loader.problems():
        print(f"{loader.name}: cannot be used\n  {in_one(problems)}", flush=True)
        return False
    listing = loader.listed()
    print(
        f"{loader.name}: {len(listing.train):,} training and {len(listing.test):,} test images of "
        f"{len(listing.classes)} classes {loader.place}",
        flush=True,
    )
    return True


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
