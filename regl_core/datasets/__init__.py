"""The data sets: which there are, what lies on the disk of each, and their images.

Adding one means adding a file to this folder, with a `FileLoader` that lists its images or a
`Loader` of another kind; `registry` finds it by its `kind`. Settings of it go below `datasets:` in
`params/<profile>.yaml`.
"""

from .base import PACKED, FileLoader, Loader
from .listing import Listing, Subset, Unfit
from .registry import check, find, known, load

__all__ = [
    "PACKED",
    "FileLoader",
    "Listing",
    "Loader",
    "Subset",
    "Unfit",
    "check",
    "find",
    "known",
    "load",
]
