"""What clients give away in spite of it all: attacks on what they send and keep, and the verdict.

A grid lists three kinds of items for `runs.run_all`; `findings` says what their numbers mean.
"""

from . import findings
from .exposure import AdapterMembership, ImageCopying, UpdateMembership, owners

__all__ = ["AdapterMembership", "ImageCopying", "UpdateMembership", "findings", "owners"]
