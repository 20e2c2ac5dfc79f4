"""What clients give away in spite of it all: attacks on what they send and keep, and the verdict.

`attack_all` computes a grid of three kinds of items, `findings` says what their numbers mean.
"""

from . import findings
from .exposure import AdapterMembership, ImageCopying, UpdateMembership, attack_all, owners

__all__ = [
    "AdapterMembership",
    "ImageCopying",
    "UpdateMembership",
    "attack_all",
    "findings",
    "owners",
]
