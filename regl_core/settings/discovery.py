"""Methods and data sets are found in the files of their folders: adding one means adding a file."""

import importlib
import pkgutil
from typing import TypeVar

from ..errors import ReglError

Kind = TypeVar("Kind")


def defined(package: str, base: type[Kind], label: str) -> dict[str, type[Kind]]:
    """The subclasses of `base` that the files of `package` define, by their own attribute `label`.

    Raises ReglError if two have the same.
    """
    found: dict[str, type[Kind]] = {}
    for file in pkgutil.iter_modules(importlib.import_module(package).__path__):
        module = importlib.import_module(f"{package}.{file.name}")
        for kind in vars(module).values():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if own and issubclass(kind, base) and label in vars(kind):
                first = found.setdefault(getattr(kind, label), kind)
                if first is not kind:
                    raise ReglError(
                        f"{kind.__module__} and {first.__module__} both define "
                        f"{getattr(kind, label)!r}; rename one"
                    )
    return found
