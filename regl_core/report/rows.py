"""From results to the rows of a CSV: which row and column of a table each result belongs to.

Each of the functions `by_…` gives the setting, which is the column, and the method, which is the
row, as the paper names them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import ReglError

if TYPE_CHECKING:  # results are reported without loading what computes them
    import pandas as pd

    from ..runs import PersonalResult, Result

    Place = Callable[[Result | PersonalResult], tuple[str, str]]

POOLED = "all"  # setting of a method that sees all images at once: a reference, not a rival
CELL = ["dataset", "setting", "method"]
RUN = [*CELL, "seed"]


def by_partition(result: Result | PersonalResult) -> tuple[str, str]:
    """Tables 2 to 5: ``beta=0.01``."""
    return result.run.partition.setting, result.run.method


def by_epochs(result: Result | PersonalResult) -> tuple[str, str]:
    """Table 6: ``beta=0.01;local_epochs=5``."""
    setting, method = by_partition(result)
    return f"{setting};local_epochs={result.run.settings.training.local_epochs}", method


def by_clients(result: Result | PersonalResult) -> tuple[str, str]:
    """Table 7: ``beta=0.01;clients=5``."""
    setting, method = by_partition(result)
    return f"{setting};clients={result.run.partition.clients}", method


def by_task(result: Result | PersonalResult) -> tuple[str, str]:
    """Table 1: a method once for each of the paper's two tasks."""
    setting, method = by_partition(result)
    return setting, f"{method} ({result.task})"


def by_volume(result: Result | PersonalResult) -> tuple[str, str]:
    """Figure 5: ``beta=0.5;images=15``, synthetic ones per class and client."""
    setting, method = by_partition(result)
    images = result.run.settings.datasets[result.run.dataset].synthetic_per_class
    return f"{setting};images={images if result.run.build().synthesis else 0}", method


def gather(results: Sequence[Result | PersonalResult], place: Place = by_partition) -> pd.DataFrame:
    """One row per result, in the order given: what a table and its verdicts are made from.

    `place` says which column and row of the table a result belongs to.

    Returns
    -------
    DataFrame with the columns ``dataset``, ``setting``, ``method`` (text), ``seed`` (int) and
    ``accuracy_pct`` (%, rounded to the two decimals that the CSV holds, so that whoever starts
    from the CSV arrives at the same table and verdicts).

    Raises
    ------
    ReglError
        If there are no results, or two of them would count as the same run of a table.
    """
    import pandas as pd

    if not results:
        raise ReglError("report: no results, expected at least one run in the grid")
    rows = [(r.run.dataset, *place(r), r.run.seed, round(r.accuracy_pct, 2)) for r in results]
    runs = pd.DataFrame(rows, columns=[*RUN, "accuracy_pct"])
    if (twice := runs[runs.duplicated(RUN)]).size:
        dataset, setting, method, seed = twice.iloc[0][RUN]
        raise ReglError(
            f"report: two results for {method} on {dataset}, {setting}, seed {seed}, expected one: "
            "a table cannot tell them apart; make two tables or take one run out of the grid"
        )
    return runs


def drift(results: Sequence[Result | PersonalResult], last: int = 5) -> pd.DataFrame:
    """Whether accuracy is level at the end: its mean change over the `last` rounds, in points.

    Mean of the last rounds less mean of as many before, over the seeds; a row per method, a column
    per setting. Of a method that clients fine-tune, over epochs of fine-tuning.
    """
    import pandas as pd

    rows = []
    for result in results:
        curve, (setting, method) = result.curve, by_partition(result)
        change = sum(curve[-last:]) - sum(curve[-2 * last : -last])
        rows.append((method, spoken(setting), change / last))
    frame = pd.DataFrame(rows, columns=["method", "setting", "change"])
    return frame.groupby(["method", "setting"], sort=False)["change"].mean().unstack().round(1)


def spoken(setting: str) -> str:
    """A setting's name as a reader would write it: ``beta=0.01`` is β = 0.01."""
    words = setting.replace("single_label", "one class per client").replace("beta", "β")
    words = words.replace("=", " = ").replace(";", ", ")
    return words.replace("_", " ").replace("iid", "IID")
