"""A value in one safetensors file: its tensors, and its structure as JSON in the header.

A value is made of None, bools, numbers, texts, tensors, mappings, tuples, lists, which come back
as tuples, and dataclasses that are named. A tensor that is channels-last comes back so, as sums
over it depend on that.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

DAMAGED = (SafetensorError, OSError, KeyError, TypeError, ValueError)  # what damaged files raise


def read(
    path: Path,
    kinds: tuple[type, ...],
    apart: Callable[[str, str], Any],
    device: torch.device,
) -> tuple[Any, str]:
    """The value that the file holds, and its checksum. One of `DAMAGED` if it is not whole."""
    with safe_open(path, framework="pt") as file:
        # Copies: these tensors are the file, mapped into memory, and lie anywhere.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        header = file.metadata()
    total = _checksum(header["value"], tensors)
    if header["checksum"] != total:
        raise ValueError("it has changed since it was written")
    moved = {name: tensor.to(device) for name, tensor in tensors.items()}
    named = {kind.__name__: kind for kind in kinds}
    return _decode(json.loads(header["value"]), moved, named, apart), total


def write(
    path: Path, value: Any, kinds: tuple[type, ...], apart: Callable[[Any], list[str] | None]
) -> str:
    """Write a file that holds `value`, but for what is kept `apart`; its checksum."""
    tensors: dict[str, Tensor] = {}
    structure = json.dumps(_encode(value, tensors, kinds, apart))
    _separate(tensors)
    total = _checksum(structure, tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.partial")
    save_file(tensors, beside, metadata={"value": structure, "checksum": total})
    with beside.open("rb+") as file:
        os.fsync(file.fileno())
    beside.replace(path)
    return total


def _checksum(structure: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of a value taken apart, whose tensors are on the CPU."""
    total = hashlib.sha256(structure.encode())
    for name in sorted(tensors):
        total.update(tensors[name].reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def _encode(
    value: Any,
    tensors: dict[str, Tensor],
    kinds: tuple[type, ...],
    apart: Callable[[Any], list[str] | None],
) -> Any:
    """`value` as JSON, its tensors moved to `tensors` under numbers."""

    def encoded(part: Any) -> Any:
        return _encode(part, tensors, kinds, apart)

    if isinstance(value, Tensor):
        kind = "channels last" if _channels_last(value) else "tensor"
        laid = value.permute(0, 2, 3, 1) if kind == "channels last" else value
        tensors[str(len(tensors))] = laid.detach().cpu().contiguous()
        return {kind: len(tensors) - 1}
    if isinstance(value, tuple | list):
        return [encoded(part) for part in value]
    if isinstance(value, Mapping):
        return {"items": [[key, encoded(part)] for key, part in value.items()]}
    if type(value) in kinds:
        file = apart(value)
        if file is not None:
            return {"apart": file}
        return {type(value).__name__: encoded([getattr(value, it.name) for it in fields(value)])}
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


def _decode(
    value: Any,
    tensors: Mapping[str, Tensor],
    kinds: Mapping[str, type],
    apart: Callable[[str, str], Any],
) -> Any:
    def decoded(part: Any) -> Any:
        return _decode(part, tensors, kinds, apart)

    if isinstance(value, list):
        return tuple(decoded(part) for part in value)
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[str(content)]
    if kind == "channels last":
        return tensors[str(content)].permute(0, 3, 1, 2)
    if kind == "items":
        return {key: decoded(part) for key, part in content}
    if kind == "apart":
        return apart(*content)
    return kinds[kind](*decoded(content))
