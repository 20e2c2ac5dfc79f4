"""Randomness derived from names: (seed, stage, client, round), never from a global generator.

Resuming is exact and no result depends on the order of calls, because every random draw
has a generator of its own whose seed is a hash of what the draw is for.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(*path: int | str) -> int:
    """A 63-bit seed for the draw named by `path`, e.g. ``derive(seed, "batches", client, round)``.

    Parts are told apart by type and position: ``(1, 23)``, ``(12, 3)`` and ``("1", 23)`` differ.

    >>> derive(0, "partition") == derive(0, "partition")
    True
    """
    text = "/".join(f"{type(part).__name__}:{part}" for part in path)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(*path: int | str) -> "torch.Generator":
    """A CPU torch generator for the draw named by `path`."""
    import torch  # a second of imports, which listing a data set needs not

    return torch.Generator().manual_seed(derive(*path))


def numpy_generator(*path: int | str) -> np.random.Generator:
    """A numpy generator for the draw named by `path`."""
    return np.random.default_rng(derive(*path))
