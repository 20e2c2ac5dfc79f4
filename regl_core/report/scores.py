"""The numbers of runs by seed, and the comparisons that claims make of them."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .comparison import POINTS, Comparison, Quantity
from .layout import POOLED

REGL = FT, TF = "ReGL (FT)", "ReGL (TF)"

Key = tuple[str, str]  # setting and method
Levels = Mapping[float, str]  # settings by a number in which alone they differ, ascending


@dataclass(frozen=True)
class Scores:
    """One number per run on one data set; columns are (setting, method)."""

    dataset: str
    ours: pd.DataFrame  # a row per seed
    paper: pd.DataFrame  # one row
    quantity: Quantity = POINTS  # of a difference between two of them

    @property
    def settings(self) -> list[str]:
        return [setting for setting in dict.fromkeys(s for s, _ in self.ours) if setting != POOLED]

    @property
    def betas(self) -> list[str]:
        """Settings that are nothing but a Dirichlet partition, the most skewed first."""
        return list(self.along("beta").get("", {}).values())

    def along(self, name: str) -> dict[str, Levels]:
        """Settings ``<rest>;<name>=<number>`` by their rest and, ascending, their number."""
        found: dict[str, dict[float, str]] = {}
        for setting in self.settings:
            rest, _, last = setting.rpartition(";")
            key, _, number = last.partition("=")
            if key == name:
                found.setdefault(rest, {})[float(number.rstrip("%"))] = setting
        return {rest: dict(sorted(levels.items())) for rest, levels in found.items()}

    def baselines(self, *settings: str) -> list[str]:
        """Rivals of ReGL that were run; FedAvg if none was, so that no claim holds by default."""
        return _rivals(self.ours, settings) or ["FedAvg"]

    def coverage(self, *settings: str) -> list[str]:
        """How many of the paper's baselines stand behind "every baseline", unless it is all."""
        known, run = set(_rivals(self.paper, settings)), set(_rivals(self.ours, settings))
        if known <= run:
            return []
        return [f"With {len(known & run)} of the paper's {len(known)} baselines run"]

    def contrast(
        self,
        what: str,
        weights: Mapping[Key, float],
        above: float = 0.0,
        quantity: Quantity | None = None,
    ) -> Comparison:
        """Compare the weighted sum of scores with `above`, in the seeds that have them all."""

        def total(frame: pd.DataFrame) -> pd.Series:
            columns = frame.reindex(columns=pd.MultiIndex.from_tuples(weights))
            return (columns * list(weights.values())).sum(axis=1, skipna=False).dropna()

        # Rounded, so that no rounding error of a float decides.
        ours, paper = total(self.ours).round(9), total(self.paper)
        published = paper.sum() if len(paper) else math.nan
        return Comparison(what, tuple(ours), published, above, quantity or self.quantity)

    def compare(
        self, what: str, plus: list[Key], minus: list[Key], above: float = 0.0
    ) -> Comparison:
        """Compare sum of `plus` - sum of `minus` with `above`, in the seeds that have them all."""
        return self.contrast(what, dict.fromkeys(plus, 1.0) | dict.fromkeys(minus, -1.0), above)

    def lead(self, setting: str, one: str, other: str, above: float = 0.0) -> Comparison:
        """That `one` leads `other`, by more than `above` points."""
        what = f"{one} more than {above:.0f} points above {other}" if above else f"{one} > {other}"
        return self.compare(what, [(setting, one)], [(setting, other)], above)

    def slope(self, what: str, method: str, levels: Levels, quantity: Quantity) -> Comparison:
        """That the least-squares line through the scores of `method` rises; needs two levels."""
        centred = np.array(list(levels)) - np.mean(list(levels))
        weights = centred / (centred**2).sum()
        keys = [(setting, method) for setting in levels.values()]
        return self.contrast(what, dict(zip(keys, weights, strict=True)), quantity=quantity)

    def mean(self, setting: str, method: str) -> float:
        """Over the seeds that were run; NaN if none was."""
        return self.ours[setting, method].mean() if (setting, method) in self.ours else math.nan


def by_dataset(
    runs: pd.DataFrame,
    paper: pd.DataFrame,
    value: str = "accuracy_pct",
    quantity: Quantity = POINTS,
) -> Iterator[Scores]:
    """The scores of each data set in `runs`, in its order; the frames are those of `arrange`.

    `value` is the column compared, one number per data set, setting, method and seed.
    """
    for dataset, own in runs.groupby("dataset", sort=False):
        columns = ["setting", "method"]
        published = paper[paper["dataset"] == dataset].set_index(columns)[["accuracy_pct"]].T
        ours = own.set_index(["seed", *columns])[value].unstack(columns)
        # Unstacking sorts; methods and settings are told in the order in which they were run.
        ours = ours[list(dict.fromkeys(zip(own["setting"], own["method"], strict=True)))]
        yield Scores(dataset, ours, published.astype(float), quantity)


def _rivals(frame: pd.DataFrame, settings: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(m for own, m in frame if own in settings and m not in REGL))
