"""Work half done, in a file that a kill at any moment leaves whole."""

import hashlib
import json
import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .marks import beforehand

CPU = torch.device("cpu")
EVERY = 30.0  # seconds; least time between two saves
LONG = 3.0  # seconds; what takes longer to save is saved that much less often


class Keeps(Protocol):
    """What keeps the latest of a value."""

    @property
    def due(self) -> bool:
        """Whether `save` would save now."""

    def load(self) -> Any:
        """What was saved last, None if nothing was."""

    def save(self, value: Any) -> None:
        """Save `value`, if that is due."""


class Keeper:
    """Keeps the latest of a value in one safetensors file, its structure as JSON in the header.

    A value is made of None, bools, numbers, texts, tensors, mappings, tuples, lists, which come
    back as tuples, and the dataclasses in `kinds`. A tensor that is channels-last comes back so, as
    sums over it depend on that. The file is replaced whole, so a kill at any moment leaves the one
    before.
    """

    kinds: ClassVar[tuple[type, ...]] = ()

    def __init__(self, path: Path, every: float | None = None) -> None:
        """`every`: least time between two saves, in seconds; None: EVERY."""
        self._path, self._every, self._saved = path, every, time.monotonic()
        self._took = 0.0

    def __truediv__(self, name: str) -> "Keeper":
        """Keeps another value, in a file beside the one of this."""
        path = self._path
        return Keeper(path.with_name(f"{path.stem}-{name}{path.suffix}"), self._every)

    @property
    @beforehand
    def due(self) -> bool:
        """Whether the last save, or else the making of this keeper, is `every` seconds ago.

        What takes long to save, two hundred clients' models say, is saved less often.
        """
        every = EVERY if self._every is None else self._every
        return time.monotonic() - self._saved >= every * max(1, self._took / LONG)

    def load(self, device: torch.device = CPU) -> Any:
        """What was saved last, on `device`; None if nothing was or, with a warning, if damaged."""
        if not self._path.exists():
            return None
        try:
            with safe_open(self._path, framework="pt") as file:
                # Copies: these tensors are the file, mapped into memory, and lie anywhere.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
                header = file.metadata()
            if header["checksum"] != _checksum(header["value"], tensors):
                raise ValueError("it has changed since it was written")
            kinds = {kind.__name__: kind for kind in self.kinds}
            moved = {name: tensor.to(device) for name, tensor in tensors.items()}
            return _decode(json.loads(header["value"]), moved, kinds)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            warnings.warn(f"{self._path} is damaged ({error}); starting over", stacklevel=2)
            return None

    def save(self, value: Any) -> None:
        """Save `value` if that is due."""
        if self.due:
            self.write(value)

    def write(self, value: Any) -> None:
        """Save `value` now."""
        started = time.monotonic()
        tensors: dict[str, Tensor] = {}
        structure = json.dumps(_encode(value, tensors, self.kinds))
        _separate(tensors)
        header = {"value": structure, "checksum": _checksum(structure, tensors)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f"{self._path.name}.partial")
        save_file(tensors, beside, metadata=header)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(self._path)
        self._saved = time.monotonic()
        self._took = self._saved - started


def _checksum(structure: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of a value taken apart, whose tensors are on the CPU."""
    total = hashlib.sha256(structure.encode())
    for name in sorted(tensors):
        total.update(tensors[name].reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def _encode(value: Any, tensors: dict[str, Tensor], kinds: tuple[type, ...]) -> Any:
    """`value` as JSON, its tensors moved to `tensors` under numbers."""
    if isinstance(value, Tensor):
        kind = "channels last" if _channels_last(value) else "tensor"
        laid = value.permute(0, 2, 3, 1) if kind == "channels last" else value
        tensors[str(len(tensors))] = laid.detach().cpu().contiguous()
        return {kind: len(tensors) - 1}
    if isinstance(value, tuple | list):
        return [_encode(part, tensors, kinds) for part in value]
    if isinstance(value, Mapping):
        return {"items": [[key, _encode(part, tensors, kinds)] for key, part in value.items()]}
    if type(value) in kinds:
        parts = [getattr(value, field.name) for field in fields(value)]
        return {type(value).__name__: _encode(parts, tensors, kinds)}
    return value


def _channels_last(value: Tensor) -> bool:
    """Whether it lies in memory as networks on a GPU have it, rather than in the usual order."""
    usual = torch.empty(value.shape, device="meta").stride()
    return value.stride() != usual and value.is_contiguous(memory_format=torch.channels_last)


def _separate(tensors: dict[str, Tensor]) -> None:
    """Give each of `tensors` memory of its own, as the file asks for; what has it is not copied.

    The models of hundreds of clients can take more than half of the computer's memory.
    """
    seen: set[int] = set()
    for name, tensor in tensors.items():
        start = tensor.untyped_storage().data_ptr()
        if start in seen:
            tensors[name] = tensor.clone()
        seen.add(start)


def _decode(value: Any, tensors: Mapping[str, Tensor], kinds: Mapping[str, type]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(part, tensors, kinds) for part in value)
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[str(content)]
    if kind == "channels last":
        return tensors[str(content)].permute(0, 3, 1, 2)
    if kind == "items":
        return {key: _decode(part, tensors, kinds) for key, part in content}
    return kinds[kind](*_decode(content, tensors, kinds))
