"""Frozen values that check themselves, what is read and altered before they are built, and which
kinds of methods and data sets there are to name.

Every error names the file, the key, what was given and what is expected, all problems in one
message.
"""

from .discovery import defined
from .frozen import Frozen, Problem, explain, in_one, nearest, shown
from .reading import alter, parse, read
from .selection import selected

__all__ = [
    "Frozen",
    "Problem",
    "alter",
    "defined",
    "explain",
    "in_one",
    "nearest",
    "parse",
    "read",
    "selected",
    "shown",
]
