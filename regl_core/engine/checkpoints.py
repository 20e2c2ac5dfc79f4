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
DAMAGED = (OSError, ValueError, LookupError, pickle.UnpicklingError)  # where a file is not whole


class Checkpoint:
    """Saves the latest of a value, as `torch.save` does, in a file that begins with its checksum.

    A value is made of None, bools, numbers, texts, tensors, dicts, tuples, lists and the
    dataclasses in `kinds`; the file cannot make anything else of itself when it is read. It is
    replaced whole, so a kill at any moment leaves the one before. Instances of what is in
    `lasting`, which never change once they are made, lie in a folder beside, in files that have
    their checksums for names, and are written once: of two hundred clients' models, those alone
    that are new since the last save.
    """

    kinds: ClassVar[tuple[type, ...]] = ()
    lasting: ClassVar[tuple[type, ...]] = ()

    def __init__(self, folder: Path, name: str, every: float | None = None) -> None:
        """`name`: of the file, in the `folder` of a stage. `every`: in seconds; None: EVERY."""
        self._folder, self._name, self._every = folder, name, every
        self._path = Path(folder, CHECKPOINT, f"{name}.pt")
        self._saved, self._took = time.monotonic(), 0.0
        # The file of what lasts, by the identity of the value; a weak reference tells it from
        # another that came to lie in its place.
        self._apart = self._path.with_suffix(".lasting")
        self._known: dict[int, tuple[weakref.ref, str]] = {}

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
        if not self._path.exists():
            return None
        lasting: dict[str, Any] = {}
        try:
            for path in self._apart.glob("*.pt"):
                value = _loaded(path.read_bytes(), path.stem, self.kinds, device)
                lasting[path.stem] = value
                self._known[id(value)] = weakref.ref(value), path.stem
            content = self._path.read_bytes()
            its, total = content[DIGITS:], content[:DIGITS].decode()
            named = lasting.__getitem__, f"{__name__}.{_elsewhere.__name__}"
            return _loaded(its, total, (*self.kinds, named), device)
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

        def apart(part: Any) -> Any:
            if not isinstance(part, self.lasting):
                return NotImplemented
            known = self._known.get(id(part))
            if known is None or known[0]() is not part:
                its, name = _dumped(part)
                put({f"{name}.pt": its}, self._apart, synced=True)
                known = self._known[id(part)] = weakref.ref(part), name
            named.add(known[1])
            return _elsewhere, known[1:]

        content, total = _dumped(value, apart)
        put({self._path.name: total.encode() + content}, self._path.parent, synced=True)
        for path in self._apart.glob("*"):
            if path.stem not in named:
                path.unlink()
        self._known = {key: known for key, known in self._known.items() if known[1] in named}
        self._saved = time.monotonic()
        self._took = self._saved - started


def _elsewhere(name: str) -> None:
    """Stands in a file for a value that lies in another."""


def _dumped(
    value: Any, apart: Callable[[Any], Any] = lambda part: NotImplemented
) -> tuple[bytes, str]:
    """What `torch.save` makes of `value`, and its SHA-256 (hex). `apart`: a `reducer_override`."""
    import torch

    class Pickler(pickle.Pickler):
        reducer_override = staticmethod(apart)

    content = io.BytesIO()
    torch.save(value, content, SimpleNamespace(__name__="pickle", Pickler=Pickler))
    return content.getvalue(), hashlib.sha256(content.getbuffer()).hexdigest()


def _loaded(
    content: bytes, total: str, known: tuple[Any, ...], device: "torch.device | str"
) -> Any:
    """The value that `content` holds. One of `DAMAGED` if that is not of the checksum `total`."""
    import torch

    if hashlib.sha256(content).hexdigest() != total:
        raise ValueError("it has changed since it was written")
    with torch.serialization.safe_globals(list(known)):
        return torch.load(io.BytesIO(content), device, weights_only=True)
