"""The interactive notebook's widgets: a partition, FedAvg against ReGL on it, and its images.

`Board` holds the three parts and what they share. Every slider and button can be used from
Python as well, by its `value` and its `click()`; `try_out` does so.
"""

from .board import Board, attended, try_out

__all__ = ["Board", "attended", "try_out"]
