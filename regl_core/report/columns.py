"""Which column and row of a table a result belongs to, as the paper names them.

Each function gives the setting, which is the column, and the method, which is the row.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # results are reported without loading what computes them
    from ..runs import PersonalResult, Result

Place = Callable[["Result | PersonalResult"], tuple[str, str]]


def by_partition(result: "Result | PersonalResult") -> tuple[str, str]:
    """Tables 2 to 5: ``beta=0.01``."""
    return result.run.partition.setting, result.run.method


def by_epochs(result: "Result | PersonalResult") -> tuple[str, str]:
    """Table 6: ``beta=0.01;local_epochs=5``."""
    setting, method = by_partition(result)
    return f"{setting};local_epochs={result.run.settings.training.local_epochs}", method


def by_clients(result: "Result | PersonalResult") -> tuple[str, str]:
    """Table 7: ``beta=0.01;clients=5``."""
    setting, method = by_partition(result)
    return f"{setting};clients={result.run.partition.clients}", method


def by_task(result: "Result | PersonalResult") -> tuple[str, str]:
    """Table 1: a method once for each of the paper's two tasks."""
    setting, method = by_partition(result)
    return setting, f"{method} ({result.task})"


def by_volume(result: "Result | PersonalResult") -> tuple[str, str]:
    """Figure 5: ``beta=0.5;images=15``, synthetic ones per class and client."""
    setting, method = by_partition(result)
    images = result.run.settings.datasets[result.run.dataset].synthetic_per_class
    return f"{setting};images={images if result.run.build().synthesis else 0}", method
