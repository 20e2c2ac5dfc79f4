"""Work half done, kept so that a kill at any moment leaves it whole."""

import hashlib
import io
import pickle
import time
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from ..system import put
from .digest import not_in_key

if TYPE_CHECKING:
    import torch

CHECKPOINT = "checkpoint"  # a folder in that of a stage: what lies there outlives a kill
EVERY = 30.0  # seconds; least time between two saves
LONG = 3.0  # seconds; what takes longer to save is saved that much less often
DIGITS = 64  # of a checksum, a SHA-256 in hex
DAMAGED = (OSError, ValueError, pickle.UnpicklingError)  # what is raised where a file is not whole


class Checkpoint:
    """Saves the latest of a value, as `torch.save` does, in a file that begins with its checksum.

    A value is made of None, bools, numbers, texts, tensors, dicts, tuples, lists and the
    dataclasses in `kinds`; the file cannot make anything else of itself when it is read. It is
    replaced whole, so a kill at any moment leaves the one before. Instances of what is in
    `lasting`, which never change once they are made, lie in files of their own in a folder beside,
    and are written once: of two hundred clients' models, those alone that are new since the last
    save.
    """

    kinds: ClassVar[tuple[type, ...]] = ()
    lasting: ClassVar[tuple[type, ...]] = ()

    def __init__(self, folder: Path, name: str, every: float | None = None) -> None:
        """`name`: of the file, in the `folder` of a stage. `every`: in seconds; None: EVERY."""
        self._folder, self._name, self._every = folder, name, every
        self._path = Path(folder, CHECKPOINT, f"{name}.pt")
        self._saved, self._took = time.monotonic(), 0.0
        # Files of what lasts, name and checksum by the identity of the value; a weak reference
        # tells it from another that came to lie in its place.
        self._apart = self._path.with_suffix(".lasting")
        self._known: dict[int, tuple[weakref.ref, str, str]] = {}

    def __truediv__(self, name: str) -> "Checkpoint":
        """Saves another value, in a file beside the one of this."""
        return Checkpoint(self._folder, f"{self._name}-{name}", self._every)

    @property
    @not_in_key
    def due(self) -> bool:
        """Whether the last save, or else the making of this checkpoint, is `every` seconds ago.

        What takes long to save is saved less often.
        """
        every = EVERY if self._every is None else self._every
        return time.monotonic() - self._saved >= every * max(1, self._took / LONG)

    def load(self, device: "torch.device | str" = "cpu") -> Any:
        """What was saved last, on `device`; None if nothing was or, with a warning, if damaged."""
        found: dict[str, Any] = {}

        def apart(name: str, total: str) -> Any:
            if name not in found:
                path = self._apart / Path(name).name
                value, its = _read(path, self.kinds, device)
                if its != total:
                    raise ValueError(f"{path} is not the file that belongs to it")
                found[name] = value
                self._known[id(value)] = weakref.ref(value), name, total
            return found[name]

        if not self._path.exists():
            return None
        try:
            return _read(self._path, self.kinds, device, apart)[0]
        except DAMAGED as error:
            warnings.warn(f"{self._path} is damaged ({error}); starting over", stacklevel=2)
            return None

    def save(self, value: Any) -> None:
        """Save `value` if that is due."""
        if self.due:
            self.write(value)

    def write(self, value: Any) -> None:
        """Save `value` now."""
        started = time.monotonic()
        named: set[str] = set()

        def apart(part: Any) -> tuple[str, str] | None:
            if not isinstance(part, self.lasting):
                return None
            found = self._put_apart(part)
            named.add(found[0])
            return found

        _write(self._path, value, apart)
        for path in self._apart.glob("*"):
            if path.name not in named:
                path.unlink()
        self._known = {key: known for key, known in self._known.items() if known[1] in named}
        self._saved = time.monotonic()
        self._took = self._saved - started

    def _put_apart(self, value: Any) -> tuple[str, str]:
        """The name of the file of a value that lasts, and its checksum."""
        known = self._known.get(id(value))
        if known is None or known[0]() is not value:
            taken = (int(path.stem) for path in self._apart.glob("*.pt") if path.stem.isdecimal())
            name = f"{max(taken, default=0) + 1}.pt"
            known = weakref.ref(value), name, _write(self._apart / name, value)
            self._known[id(value)] = known
        return known[1:]


def _elsewhere(name: str, total: str) -> None:
    """Stands in a file for a value that lies in another."""


def _write(
    path: Path, value: Any, apart: Callable[[Any], tuple[str, str] | None] = lambda part: None
) -> str:
    """Write a file that holds `value`, but for what is kept `apart`; its checksum, SHA-256."""
    import torch

    class Pickler(pickle.Pickler):
        def reducer_override(self, part: Any) -> Any:
            found = apart(part)
            return NotImplemented if found is None else (_elsewhere, found)

    content = io.BytesIO(bytes(DIGITS))
    content.seek(DIGITS)
    torch.save(value, content, SimpleNamespace(__name__="pickle", Pickler=Pickler))
    total = hashlib.sha256(content.getbuffer()[DIGITS:]).hexdigest()
    content.getbuffer()[:DIGITS] = total.encode()
    put({path.name: content.getbuffer()}, path.parent, synced=True)
    return total


def _read(
    path: Path,
    kinds: tuple[type, ...],
    device: "torch.device | str",
    apart: Callable[[str, str], Any] = _elsewhere,
) -> tuple[Any, str]:
    """The value in the file, and its checksum. One of `DAMAGED` if the file is not whole."""
    import torch

    with path.open("rb") as file:
        total, content = file.read(DIGITS), file.read()
    if hashlib.sha256(content).hexdigest().encode() != total:
        raise ValueError("it has changed since it was written")
    known = [*kinds, (apart, f"{__name__}.{_elsewhere.__name__}")]
    outer = torch.serialization.get_safe_globals()
    with torch.serialization.safe_globals(known):
        value = torch.load(io.BytesIO(content), device, weights_only=True)
    # Leaving the block also takes away what the reading of the file around this one allows.
    torch.serialization.add_safe_globals(outer)
    return value, total.decode()
