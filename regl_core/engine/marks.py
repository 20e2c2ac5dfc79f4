"""Marks of functions, which `digest` reads and which do nothing when they run."""

from collections.abc import Callable
from typing import TypeVar

Marked = TypeVar("Marked", bound=Callable)


def not_in_key(function: Marked) -> Marked:
    """Marks what gives nothing that a result is made of.

    What is asked before anything is computed: how much it is, whether it can be done. The words of
    an error. How often progress is saved, and where a compiler keeps its code. A digest of code
    leaves it out (`digest`): a better estimate, or one more refusal, makes no result stale.
    """
    return function
