"""A run, all that determines one number, and what it takes to compute many of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from pydantic import JsonValue, model_validator

from . import methods
from .engine.runner import run_stages
from .engine.store import Store
from .errors import ReglError
from .methods.base import Method
from .params import ROOT, Settings
from .partition import PartitionSpec, Pooled
from .personalization import Personal, summary
from .pipeline import Pipeline
from .settings.frozen import Frozen, nearest
from .stages.personalized import Personalized
from .stages.trained import Trained

STORE = ROOT / ".store"


class Run(Frozen):
    """One cell of a table for one seed: a data set, a partition, a method, and the settings.

    Raises ReglError where the data set or the method is unknown, the method's
    hyper-parameters are wrong or do not go with `training`, or Centralized and Pooled do not come
    together.
    """

    dataset: str
    partition: PartitionSpec
    method: str
    seed: int
    settings: Settings

    @property
    def methods(self) -> Mapping[str, Mapping[str, JsonValue]]:
        """The methods this kind of run knows, with their hyper-parameters."""
        return self.settings.methods

    @model_validator(mode="after")
    def _known(self) -> Self:
        for what, name, named in (
            ("data set", self.dataset, self.settings.datasets),
            ("method", self.method, self.methods),
        ):
            if name not in named:
                raise ReglError(
                    f"{what} {name!r} is not in params/{self.settings.profile}.yaml"
                    f"{nearest(name, named)}, expected one of {', '.join(named)}"
                )
        self.build().check(self.settings.training)
        if (self.method == "Centralized") != isinstance(self.partition, Pooled):
            raise ReglError(
                f"method {self.method!r} on partition {self.partition.setting!r}: Centralized is "
                "training on Pooled(), all data in one place, and no other method is"
            )
        return self

    def build(self) -> Method:
        """The method with its hyper-parameters."""
        return methods.get(self.method, self.methods[self.method])

    def stage(self, pipeline: Pipeline) -> Trained:
        """The stage that computes this, with all that it needs. ReglError if it cannot be."""
        source, _ = pipeline.source(self.dataset, self.settings)
        parts = pipeline.parts(self.dataset, self.settings, self.partition, self.seed)
        method = self.build()
        return Trained(
            source,
            parts,
            pipeline.clients(method.synthesis, self.dataset, parts, self.settings, self.seed),
            self.settings.datasets[self.dataset].synthetic_per_class if method.synthesis else 0,
            method,
            pipeline.training(self.settings),
            self.seed,
            self.method in self.settings.personal_methods and not method.personalized,
        )

    def result(self, folder: Path) -> "Result":
        """What `folder`, written by the stage of this run, says."""
        return Result(self, tuple(json.loads((folder / "accuracy.json").read_text())))


class PersonalRun(Run):
    """A run whose outcome is each client's own model on its own test split (Table 4)."""

    @property
    def methods(self) -> Mapping[str, Mapping[str, JsonValue]]:
        return self.settings.personal_methods

    def stage(self, pipeline: Pipeline) -> Trained | Personalized:
        """The federation, and the fine-tuning by each client where it belongs to the method."""
        trained = super().stage(pipeline)
        if not self.build().personalized:
            return trained
        return Personalized(trained, self.settings.personalization)

    def result(self, folder: Path) -> "PersonalResult":
        return PersonalResult(self, tuple(json.loads((folder / "personal.json").read_text())))


@dataclass(frozen=True)
class Result:
    """What a run gave: `accuracy` on the test set after each round, in percent."""

    run: Run
    accuracy: tuple[float, ...]
    task: ClassVar[str] = "generalization"  # as the paper calls it

    @property
    def accuracy_pct(self) -> float:
        """The reported accuracy: the mean over the last `training.report_rounds` rounds."""
        last = self.accuracy[-self.run.settings.training.report_rounds :]
        return sum(last) / len(last)

    @property
    def measure(self) -> str:
        """What `accuracy_pct` is, in words."""
        last = self.run.settings.training.report_rounds
        rounds = f"mean of the last {last} rounds" if last > 1 else "after the last round"
        return f"test accuracy in %, {rounds}"


@dataclass(frozen=True)
class PersonalResult:
    """What a run gave: `clients`, of each the accuracy on its own test split, in percent.

    After each round, or each epoch of fine-tuning; None for a client without images.
    """

    run: PersonalRun
    clients: tuple[Sequence[float] | None, ...]
    task: ClassVar[str] = "personalization"  # as the paper calls it

    @property
    def personal(self) -> Personal:
        """Means over the clients, by the paper's rule and beside it."""
        return summary(self.clients)

    @property
    def accuracy_pct(self) -> float:
        """The reported accuracy, by the paper's rule (Sec. 5.1)."""
        return self.personal.best

    @property
    def measure(self) -> str:
        """What `accuracy_pct` is, in words."""
        return (
            "accuracy in % of each client's own model on its own test images, at each client's "
            "best round or epoch (the paper's rule), mean over the clients"
        )


def run_all(
    grid: Sequence[Run], store: Store | None = None, workers: int | None = None
) -> list[Result] | list[PersonalResult]:
    """The results of `grid`, in its order. What the store has is read, the rest computed.

    Independent stages run in `workers` processes (default: one per core or GPU) of one thread each,
    with one progress bar. Killed at any moment, the next call goes on from what is done.
    """
    store = store or Store(STORE)
    pipeline = Pipeline(store.root / "packed")
    stages = [run.stage(pipeline) for run in grid]
    run_stages(stages, store, workers)
    return [run.result(store.ensure(stage)) for run, stage in zip(grid, stages, strict=True)]
