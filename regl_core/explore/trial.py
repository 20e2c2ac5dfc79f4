"""Trying the board where nobody is there to do it, as in `make test`."""

import numpy as np
import pandas as pd
from IPython import get_ipython

from ..errors import ReglError
from .board import Board


def attended() -> bool:
    """Whether somebody sits before the notebook: who runs the cell could be asked a question.

    JupyterLab says so with every cell that it has run, and nbmake and papermill say the opposite.
    """
    shell = get_ipython()
    asked = getattr(shell, "get_parent", dict)().get("content", {})
    return bool(asked.get("allow_stdin"))


def try_out(board: Board) -> pd.DataFrame:
    """Move a slider there and back, press both buttons and wait; gives the race's table.

    Raises
    ------
    ReglError
        When a part of the board does not show what it should, or a computation fails.
    """
    before, beta = board.skew.counts, board.skew.beta
    here, there = beta.value, next(v for _, v in reversed(beta.options) if v != beta.value)
    beta.value = there
    _expect(not np.array_equal(before, board.skew.counts), f"β = {there:g} deals like {here:g}")
    beta.value = here
    _expect(np.array_equal(before, board.skew.counts), f"back at β = {here:g} all is different")
    for part in (board.race, board.gallery):
        part.go.click()
        _expect(not part.refusal.value, f"a click was refused: {part.refusal.value}")
        board.job.wait()
    table = board.race.table()
    rounds = board.race.rounds
    _expect(len(table) == rounds and table.notna().all(axis=None), f"not {rounds} rounds: {table}")
    _expect(set(board.gallery.shown) == {"real", "TF", "FT"}, "images are missing")
    return table


def _expect(so: bool, otherwise: str) -> None:
    if not so:
        raise ReglError(f"explore: {otherwise}")
