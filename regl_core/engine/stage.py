"""A stage: one step of the pipeline as a value, named by the hash of all that determines it."""

import hashlib
import json
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ..errors import ReglError
from .digest import code_digest, library_versions

Tick = Callable[[float], None]  # gets the fraction done, 0 to 1
PLAIN = {type(None), bool, int, str}
LONG = 1000  # numbers; of more of them a description holds a digest


@dataclass(frozen=True)
class Stage(ABC):
    """One step, a pure function of its fields and of the outputs of the stages it needs.

    Fields hold None, bool, int, float, str, tuples, frozen dataclasses, frozen pydantic values
    and other stages. The code behind a key is what the class reaches by import statements and
    the modules of the values in its fields; so hold a method found by its name as a value.
    """

    def needs(self) -> tuple["Stage", ...]:
        """The stages whose outputs this one reads."""
        return ()

    @abstractmethod
    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        """Write the results into `folder`.

        inputs: the folders of `needs()`, in that order, to be read only. tick: call it with the
        fraction done, from 0 to 1, as often as convenient. The name "entry.json" is taken.
        What a `Checkpoint` keeps in `folder` outlives a kill: the next attempt finds it there, and
        it is no part of the result.
        """

    @property
    def kind(self) -> str:
        """The name of the class."""
        return type(self).__name__

    @cached_property
    def inputs(self) -> tuple["Stage", ...]:
        """`needs()`, asked once."""
        return tuple(self.needs())

    @cached_property
    def key(self) -> str:
        """SHA-256 (hex) of kind, fields, keys of the inputs, code and library versions.

        Raises
        ------
        ReglError
            When a field holds what has no canonical form.
        """
        parts = {
            "kind": self.kind,
            "fields": described(self),
            "inputs": [stage.key for stage in self.inputs],
            "code": code_digest(*self.code),
            "libraries": library_versions(),
        }
        return hashlib.sha256(canonical(parts).encode()).hexdigest()

    @cached_property
    def on_gpu(self) -> bool:
        """Whether a GPU computes it: its fields, or those of a stage in them, name that device."""
        own = _values(self, stages=True)
        return any(getattr(value, "device", "").startswith("cuda") for value in own)

    @cached_property
    def code(self) -> tuple[tuple[str, str], ...]:
        """(module, name) of this class, then of the class of every value in its fields."""
        kinds = dict.fromkeys([type(self), *map(type, _values(self))])
        return tuple((kind.__module__, kind.__qualname__) for kind in kinds)

    def __str__(self) -> str:
        """Kind, fields that are plain numbers or texts, and the start of the key."""
        values = self.__getstate__().items()
        plain = [f"{name}={v!r}" for name, v in values if isinstance(v, int | float | str)]
        return f"{self.kind}({', '.join(plain)}) {self.key[:12]}"

    def __getstate__(self) -> dict[str, Any]:
        # Another process works out keys anew, from the code that it has loaded itself.
        return {field.name: getattr(self, field.name) for field in fields(self)}


def canonical(value: Any) -> str:
    """The one JSON text of a JSON value: keys sorted, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def described(stage: Stage) -> dict[str, Any]:
    """The fields of `stage` as a JSON value, in which a stage stands as its key.

    A tuple of many integers, of a large data set's indices say, is there as a digest.
    """
    return {
        field.name: _plain(getattr(stage, field.name), f"{stage.kind}.{field.name}")
        for field in fields(stage)
    }


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ReglError(f"{where} is {value}; expected a finite number")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        kinds = set(map(type, value))
        if not kinds <= PLAIN:
            return [_plain(part, f"{where}[{i}]") for i, part in enumerate(value)]
        if kinds != {int} or len(value) <= LONG:
            return list(value)
        content = array("q", value).tobytes()
        return {"integers": len(value), "sha256": hashlib.sha256(content).hexdigest()}
    kind = type(value).__name__
    if isinstance(value, Stage):
        return {kind: value.key}
    parts = _parts(value)
    if parts is None:
        raise ReglError(
            f"{where} holds a {kind}; expected None, a bool, number, text or tuple, a frozen "
            "dataclass or pydantic value, or a stage"
        )
    return {kind: {name: _plain(part, f"{where}.{name}") for name, part in parts.items()}}


def _parts(value: Any) -> dict[str, Any] | None:
    """The fields of a frozen pydantic or dataclass value, None for any other.

    A dataclass's field with the metadata ``{"key": False}`` is left out: it only says how to get
    at what other fields determine.
    """
    if isinstance(value, BaseModel) and value.model_config.get("frozen"):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if is_dataclass(value) and type(value).__dataclass_params__.frozen:
        return {
            field.name: getattr(value, field.name)
            for field in fields(value)
            if field.metadata.get("key", True)
        }
    return None


def _values(value: Any, stages: bool = False) -> Iterator[Any]:
    """The composite values inside `value`; stages and what is in them only where asked for."""
    if isinstance(value, tuple) and set(map(type, value)) <= PLAIN | {float}:
        return
    for part in value if isinstance(value, tuple) else (_parts(value) or {}).values():
        if isinstance(part, tuple):
            yield from _values(part, stages)
        elif _parts(part) is not None and (stages or not isinstance(part, Stage)):
            yield part
            yield from _values(part, stages)
