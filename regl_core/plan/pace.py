"""How long stages take here, learnt from those that the store has."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress

from ..engine.stage import Stage
from ..engine.store import Store
from .rates import Rates
from .work import KEPT, Unit, Work

SHORTEST = 1e-3  # seconds; no stage is estimated at less
TELLING = 2.0  # estimated seconds; from a stage of less no pace is learnt
Sort = frozenset[Unit]  # the units of work that a stage is made of


class Pace:
    """How long stages take, by `rates` and by what earlier ones took in `store`."""

    def __init__(self, store: Store, rates: Rates) -> None:
        self._store, self.rates = store, rates
        self._past: dict[str, dict[Sort, list[tuple[Work, float]]]] = {}
        self._factors: dict[tuple[str, Sort], float] = {}

    def seconds(self, stages: Mapping[str, Stage]) -> dict[str, float]:
        """Of each of `stages`, by the same keys."""
        return {
            key: self.factor(stage.kind, stage.takes) * self.estimated(stage.takes)
            for key, stage in stages.items()
        }

    def estimated(self, work: Work) -> float:
        """Seconds by the rates alone."""
        return max(self.rates.seconds(work), SHORTEST)

    def factor(self, kind: str, work: Work) -> float:
        """Seconds that stages of this kind took for each estimated second, 1 if unknown.

        Only those of the same units count: what another model or device took says nothing.
        """
        which = kind, _sort(work)
        if which not in self._factors:
            if kind not in self._past:
                self._past[kind] = _past(self._store, kind)
            took = [(self.rates.seconds(it), s) for it, s in self._past[kind].get(which[1], ())]
            # Shorter ones are mostly start-up and say nothing of the work.
            told = [pair for pair in took if pair[0] >= TELLING]
            estimated, seconds = (sum(pair[column] for pair in told) for column in (0, 1))
            self._factors[which] = seconds / estimated if estimated else 1.0
        return self._factors[which]


def _sort(work: Work) -> Sort:
    return frozenset(it for it, amount in work.items() if it.what not in KEPT and amount)


def _past(store: Store, kind: str) -> dict[Sort, list[tuple[Work, float]]]:
    """The work of earlier stages of a kind and the seconds it took, by sort.

    Entries that another version of this program wrote, and which tell it otherwise, are left out.
    """
    found = defaultdict(list)
    for entry in store.entries(kind):
        with suppress(KeyError, TypeError, ValueError):
            parts = [dict(it) for it in entry["work"]]
            amounts = [float(it.pop("amount")) for it in parts]
            work = {Unit(**it): amount for it, amount in zip(parts, amounts, strict=True)}
            found[_sort(work)].append((work, float(entry["seconds"])))
    return found
