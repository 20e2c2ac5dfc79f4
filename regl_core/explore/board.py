"""The three parts of the interactive notebook together, and trying them where nobody is there."""

import numpy as np
import pandas as pd

from ..engine import Store
from ..errors import ReglError
from ..params import Settings
from ..pipeline import Pipeline
from ..runs import STORE
from .background import Background
from .race import Race
from .samples import Samples
from .skew import Skew


class Board:
    """Sliders of a partition (`skew`), methods on it (`race`) and its images (`samples`).

    Each is a widget to be shown, of the first data set of `settings`. What their buttons ask for
    goes through `store`, as in every notebook, in `workers` processes (default: one per core, or
    GPU), one at a time (`background`).
    """

    def __init__(
        self, settings: Settings, store: Store | None = None, workers: int | None = None
    ) -> None:
        pipeline = Pipeline()
        self.background = Background(store or Store(STORE), workers)
        self.skew = Skew(settings, pipeline)
        self.race = Race(self.skew, pipeline, self.background)
        self.samples = Samples(self.skew, pipeline, self.background)


def attended() -> bool:
    """Whether somebody sits before the notebook: who runs the cell could be asked a question.

    JupyterLab says so with every cell that it has run, and nbmake and papermill say the opposite.
    """
    from IPython import get_ipython

    asked = getattr(get_ipython(), "get_parent", dict)().get("content", {})
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
    for part in (board.race, board.samples):
        part.go.click()
        _expect(not part.refusal.value, f"a click was refused: {part.refusal.value}")
        board.background.wait()
    table, rounds = board.race.table(), board.race.rounds
    _expect(len(table) == rounds and table.notna().all(axis=None), f"not {rounds} rounds: {table}")
    _expect(set(board.samples.shown) == {"real", "TF", "FT"}, "images are missing")
    return table


def _expect(so: bool, otherwise: str) -> None:
    if not so:
        raise ReglError(f"explore: {otherwise}")
