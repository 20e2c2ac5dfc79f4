"""What a user starts: the command line, running notebooks, and whether what they made is fresh.

The topmost room: it knows the paper, the engine, the plan and the report, and none of them knows
it. The main process works out settings, grids and keys, has all of it computed, and hands the
kernels of notebooks what they need; these read and draw.
"""

from .commandline import main

__all__ = ["main"]
