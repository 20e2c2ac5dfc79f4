"""The methods by name, one file each. Adding one means adding a file to this folder
and a line below `methods:` or `personal_methods:` in `params/<profile>.yaml`.

`base` says what a method is and what it exchanges with the loop in `federation`; `fedavg` is the
one that most derive from. A method is asked for by name (`get`), with its hyper-parameters.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from ..errors import ReglError
from ..settings import defined, nearest, shown
from .base import Method, Round, Server, State, Task, Update
from .fedavg import FedAvg

__all__ = ["FedAvg", "Method", "Round", "Server", "State", "Task", "Update", "get", "known"]


@cache
def known() -> dict[str, type[Method]]:
    """Every method defined in a file of this folder, by its `name`."""
    return defined(__name__, Method, "name")


def get(name: str, hyperparameters: Mapping[str, Any]) -> Method:
    """The method called `name`, with these hyper-parameters in place of its defaults.

    Raises
    ------
    ReglError
        Unknown method or hyper-parameter, or a value of the wrong type or out of range.
    """
    methods = known()
    if name not in methods:
        raise ReglError(
            f"method {shown(name)} is unknown{nearest(name, methods)}, expected one of "
            f"{', '.join(sorted(methods))}; to add one, add a file to regl_core/methods"
        )
    fields = methods[name].model_fields
    for given in hyperparameters:
        if given not in fields:
            choice = f"expected one of {', '.join(fields)}" if fields else "it has none: remove it"
            raise ReglError(
                f"method {name!r}: unknown hyper-parameter {shown(given)}"
                f"{nearest(given, fields)}, {choice}"
            )
    return methods[name](**hyperparameters)
