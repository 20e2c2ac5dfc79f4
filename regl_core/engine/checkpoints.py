"""Work half done, kept so that a kill at any moment leaves it whole."""

import time
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch

from . import valuefile
from .marks import not_in_key

CPU = torch.device("cpu")
EVERY = 30.0  # seconds; least time between two saves
LONG = 3.0  # seconds; what takes longer to save is saved that much less often


class Saves(Protocol):
    """What keeps the latest of a value."""

    @property
    def due(self) -> bool:
        """Whether `save` would save now."""

    def load(self) -> Any:
        """What was saved last, None if nothing was."""

    def save(self, value: Any) -> None:
        """Save `value`, if that is due."""


class Checkpoint:
    """Saves the latest of a value in a file as `valuefile` has it, with the dataclasses in `kinds`.

    The file is replaced whole, so a kill at any moment leaves the one before. Instances of what is
    in `lasting`, which never change once they are made, lie in files of their own in a folder
    beside, and are written once: of two hundred clients' models, those alone that are new since the
    last save.
    """

    kinds: ClassVar[tuple[type, ...]] = ()
    lasting: ClassVar[tuple[type, ...]] = ()

    def __init__(self, path: Path, every: float | None = None) -> None:
        """`every`: least time between two saves, in seconds; None: EVERY."""
        self._path, self._every, self._saved = path, every, time.monotonic()
        self._took = 0.0
        self._apart = _Apart(path.with_suffix(".lasting"), self.kinds)

    def __truediv__(self, name: str) -> "Checkpoint":
        """Saves another value, in a file beside the one of this."""
        path = self._path
        return Checkpoint(path.with_name(f"{path.stem}-{name}{path.suffix}"), self._every)

    @property
    @not_in_key
    def due(self) -> bool:
        """Whether the last save, or else the making of this checkpoint, is `every` seconds ago.

        What takes long to save is saved less often.
        """
        every = EVERY if self._every is None else self._every
        return time.monotonic() - self._saved >= every * max(1, self._took / LONG)

    def load(self, device: torch.device = CPU) -> Any:
        """What was saved last, on `device`; None if nothing was or, with a warning, if damaged."""
        if not self._path.exists():
            return None
        try:
            value, _ = valuefile.read(self._path, self.kinds, self._apart.reader(device), device)
        except valuefile.DAMAGED as error:
            warnings.warn(f"{self._path} is damaged ({error}); starting over", stacklevel=2)
            return None
        return value

    def save(self, value: Any) -> None:
        """Save `value` if that is due."""
        if self.due:
            self.write(value)

    def write(self, value: Any) -> None:
        """Save `value` now."""
        started = time.monotonic()
        named: set[str] = set()

        def apart(part: Any) -> list[str] | None:
            if not isinstance(part, self.lasting):
                return None
            found = self._apart.put(part)
            named.add(found[0])
            return found

        valuefile.write(self._path, value, self.kinds, apart)
        if self.lasting:
            self._apart.leave(named)
        self._saved = time.monotonic()
        self._took = self._saved - started


class _Apart:
    """Values of which each has a file of its own in a folder, written once."""

    def __init__(self, folder: Path, kinds: tuple[type, ...]) -> None:
        self._folder, self._kinds = folder, kinds
        # By identity; a weak reference tells a value from another that came to lie in its place.
        self._known: dict[int, tuple[weakref.ref, str, str]] = {}

    def put(self, value: Any) -> list[str]:
        """The name of its file, and the checksum."""
        known = self._known.get(id(value))
        if known is None or known[0]() is not value:
            names = (path.stem for path in self._folder.glob("*.safetensors"))
            taken = (int(name) for name in names if name.isdecimal())
            name = f"{max(taken, default=0) + 1}.safetensors"
            total = valuefile.write(self._folder / name, value, self._kinds, lambda part: None)
            known = self._known[id(value)] = weakref.ref(value), name, total
        return list(known[1:])

    def reader(self, device: torch.device) -> Callable[[str, str], Any]:
        """Gives the value, on `device`, of a name and a checksum, the same one for the same name.

        ValueError if the file has another checksum.
        """
        found: dict[str, Any] = {}

        def get(name: str, total: str) -> Any:
            if name not in found:
                path = self._folder / Path(name).name
                value, its = valuefile.read(path, self._kinds, lambda name, total: None, device)
                if its != total:
                    raise ValueError(f"{path} is not the file that belongs to it")
                found[name] = value
                self._known[id(value)] = weakref.ref(value), name, total
            return found[name]

        return get

    def leave(self, names: set[str]) -> None:
        """Delete all files but these."""
        for path in self._folder.glob("*"):
            if path.name not in names:
                path.unlink()
        self._known = {key: known for key, known in self._known.items() if known[1] in names}
