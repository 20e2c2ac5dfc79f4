"""The numbers that the paper publishes, as a table to set ours beside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ReglError

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED = Path(__file__).with_name("published_tables.csv")


def published(table: int) -> pd.DataFrame:
    """What the paper reports in Table `table`, one row per number, in the paper's order.

    Returns
    -------
    DataFrame with the columns ``dataset``, ``setting``, ``method`` (text), ``accuracy_pct`` and
    ``std_pct`` (float, %; NaN where the paper gives no deviation).

    Raises
    ------
    ReglError
        If the paper has no such table.
    """
    import pandas as pd

    rows = pd.read_csv(PUBLISHED)
    known = sorted(set(rows["table"]))
    if table not in known:
        raise ReglError(
            f"{PUBLISHED.name}: table {table} is unknown, expected one of "
            f"{', '.join(map(str, known))}"
        )
    return rows[rows["table"] == table].drop(columns="table").reset_index(drop=True)
