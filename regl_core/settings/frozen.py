"""Frozen values that check themselves and say, in one message, all that is wrong with them."""

import difflib
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from ..engine import not_in_key
from ..errors import ReglError


class Frozen(BaseModel):
    """A value that cannot change, with no unknown fields and no guessing between types.

    An int is accepted where a float is expected and becomes one; a string never becomes a
    number. Infinite and undefined numbers are refused.

    Raises
    ------
    ReglError
        When a value is built from wrong fields; it names all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            problems = explain(error, type(self))
            name = type(self).__name__
            raise ReglError(in_one(f"{name}: {p.key}: {p.text}" for p in problems)) from None

    # Lets pydantic build nested values without this method, so that the outermost one reports
    # the problems of all of them with the whole path to each.
    __init__.__pydantic_base_init__ = True


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the dotted path to it, what was given and what was expected."""

    key: str
    text: str


@not_in_key
def explain(error: ValidationError, kind: type[BaseModel]) -> list[Problem]:
    """What pydantic found wrong with a value of type `kind`, in words for its author."""
    return [_problem(details, kind) for details in error.errors(include_url=False)]


@not_in_key
def in_one(lines: Iterable[str]) -> str:
    """One message for several problems."""
    lines = list(lines)
    return lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} problems:", *lines])


@not_in_key
def nearest(name: object, known: Iterable[str]) -> str:
    """The words " (did you mean …?)" if a known name is like `name`, else none."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


@not_in_key
def shown(value: object) -> str:
    """`value` as a message shows it: short, whatever it is."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


@not_in_key
def _problem(details: Any, kind: type[BaseModel]) -> Problem:
    location, given, sort = details["loc"], details["input"], details["type"]
    key = ".".join(str(part) or "''" for part in location) or "all together"
    message = details["msg"]
    if sort == "missing":
        text = "missing, expected a value"
    elif sort == "extra_forbidden":
        *group, name = location
        known = _fields(kind, group)
        text = f"unknown key{nearest(name, known)}, expected one of {', '.join(known)}"
    elif sort == "value_error":
        text = str(details["ctx"]["error"])
    elif sort == "model_type":
        text = f"given {shown(given)}, expected a group of settings"
    elif message.startswith("Input should be "):
        expected = message.removeprefix("Input should be ")
        text = f"given {shown(given)}, expected {expected}"
    else:
        text = f"given {shown(given)}: {message}"
    return Problem(key, text)


@not_in_key
def _fields(kind: Any, path: list[int | str]) -> list[str]:
    """Names of the fields of the model found at `path` below the type `kind`, if there is one."""
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields:
            kind = kind.model_fields[part].annotation
        else:
            kind = (get_args(kind) or (None,))[-1]
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []
