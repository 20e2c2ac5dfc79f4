"""Stages, each computed once: keys, the store, the pool of workers, and what outlives a kill.

A `Stage` is one step as a value; its key holds all that determines its result, the code that it
reaches included. `run_stages` computes what a `Store` lacks. The engine knows nothing of what
stages compute, and imports torch only where one is computed.
"""

from .checkpoints import Checkpoint
from .digest import code_digest, library_versions, not_in_key
from .resuming import piecewise, stepwise
from .runner import closure, run_stages
from .stage import Stage
from .store import Store

__all__ = [
    "Checkpoint",
    "Stage",
    "Store",
    "closure",
    "code_digest",
    "library_versions",
    "not_in_key",
    "piecewise",
    "run_stages",
    "stepwise",
]
