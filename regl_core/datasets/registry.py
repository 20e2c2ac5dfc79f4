"""The data sets by name."""

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ReglError
from ..params import DatasetSettings
from ..settings import nearest, shown
from .base import Loader
from .packing import PACKED

if TYPE_CHECKING:
    from ..data import Dataset


def known() -> dict[str, type[Loader]]:
    """Every loader defined in a file of this folder, by its `kind`."""
    found: dict[str, type[Loader]] = {}
    for file in pkgutil.iter_modules([str(Path(__file__).parent)]):
        module = importlib.import_module(f"{__package__}.{file.name}")
        for it in vars(module).values():
            own = isinstance(it, type) and it.__module__ == module.__name__
            if own and issubclass(it, Loader) and "kind" in vars(it):
                if it.kind in found:
                    raise ReglError(
                        f"datasets: {it.__module__} and {found[it.kind].__module__} both define "
                        f"{it.kind!r}; rename one"
                    )
                found[it.kind] = it
    return found


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
