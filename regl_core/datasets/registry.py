"""The data sets by name: found, loaded, and those of a profile looked at (`make data`)."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Halt, ReglError
from ..params import DatasetSettings, Settings
from ..settings import defined, in_one, nearest, shown
from ..system import check_room
from .base import PACKED, Loader

if TYPE_CHECKING:
    from ..data import Dataset


@cache
def known() -> dict[str, type[Loader]]:
    """Every loader defined in a file of this folder, by its `kind`."""
    return defined(__package__, Loader, "kind")


def find(name: str, settings: DatasetSettings, packed: Path = PACKED) -> Loader:
    """The data set `name`; what follows a colon tells several of one kind apart.

    packed : as for `load`. Raises ReglError if the name is unknown.
    """
    loaders = known()
    if name.partition(":")[0] not in loaders:
        raise ReglError(
            f"data set {shown(name)} is unknown{nearest(name, loaders)}, expected one of "
            f"{', '.join(sorted(loaders))}; an image folder of your own is folder:/its/path, and "
            "to add a format, add a file to regl_core/datasets"
        )
    return loaders[name.partition(":")[0]](name, settings, packed)


def load(name: str, settings: DatasetSettings, packed: Path = PACKED) -> "Dataset":
    """The data set `name`, cut and scaled as `settings` say.

    packed : the folder below which images decoded from files are kept. The first call decodes
    them, which can take minutes; later ones map the file.

    Raises
    ------
    ReglError
        The name is unknown, the data set is not whole, or it cannot be cut as asked.
    """
    return find(name, settings, packed).load()


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
    wrong = {it.name: problems for it in loaders if (problems := it.problems())}
    for name, problems in wrong.items():
        print(f"{name}: cannot be used\n  {in_one(problems)}", flush=True)
    whole = [loader for loader in loaders if loader.name not in wrong]
    needed = sum(loader.bytes_missing() for loader in whole)
    check_room(needed, packed, "the decoded images", ", or choose less: DATASETS=…")
    for loader in whole:
        try:
            found = loader.load()
        except Halt:
            raise
        except ReglError as error:
            wrong[loader.name] = [str(error)]
            print(error, flush=True)
            continue
        print(
            f"{loader.name}: {len(found.train):,} training and {len(found.test):,} test images of "
            f"{len(found.classes)} classes {loader.place}, each of them whole; digest "
            f"{found.digest[:12]}",
            flush=True,
        )
    if wrong:
        raise ReglError(
            f"{len(wrong)} of {len(loaders)} data sets cannot be used: {', '.join(wrong)}; what is "
            "wrong stands above"
        )
