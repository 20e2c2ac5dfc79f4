"""A run, all that determines one number, and what it takes to compute many of them.

Who only reads results needs neither stages nor methods, which bring torch: they are imported where
they are used.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel, JsonValue, model_validator

from .errors import ReglError
from .params import ROOT, Settings, TrainingSettings
from .partition import PartitionSpec, Pooled
from .settings import Frozen, nearest

if TYPE_CHECKING:
    from .engine import Store
    from .methods import Method
    from .pipeline import Pipeline
    from .stages import Personalized, Trained

STORE = ROOT / ".store"
HANDED = "REGL_HANDED"  # variable that names the file of what a kernel is handed (`Handed`)


class Run(Frozen):
    """One cell of a table for one seed: a data set, a partition, a method, and the settings.

    Raises ReglError where the data set or the method is unknown, or Centralized and Pooled do not
    come together.
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
        if (self.method == "Centralized") != isinstance(self.partition, Pooled):
            raise ReglError(
                f"method {self.method!r} on partition {self.partition.setting!r}: Centralized is "
                "training on Pooled(), all data in one place, and no other method is"
            )
        # A split that follows the seed is part of what determines the number.
        object.__setattr__(self, "settings", self.settings.at(self.seed))
        return self

    def build(self) -> "Method":
        """The method with its hyper-parameters."""
        from . import methods

        return methods.get(self.method, self.methods[self.method])

    def stage(self, pipeline: "Pipeline") -> "Trained":
        """The stage that computes this, with all that it needs.

        Raises ReglError where it cannot be: the method's hyper-parameters are wrong or do not go
        with `training`, say.
        """
        return self._trained(pipeline, self.build(), self.settings.training)

    def _trained(
        self, pipeline: "Pipeline", method: "Method", training: TrainingSettings
    ) -> "Trained":
        from .stages import Trained

        method.check(training)
        source, _ = pipeline.source(self.dataset, self.settings)
        parts = pipeline.parts(self.dataset, self.settings, self.partition, self.seed)
        return Trained(
            source,
            parts,
            pipeline.synthetic(method.synthesis, self.dataset, parts, self.settings, self.seed),
            self.settings.datasets[self.dataset].synthetic_per_class if method.synthesis else 0,
            method,
            pipeline.training(training),
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

    def stage(self, pipeline: "Pipeline") -> "Trained | Personalized":
        """The federation, and the fine-tuning by each client where it belongs to the method."""
        from .stages import Personalized

        method, how = self.build(), self.settings.personalization
        trained = self._trained(pipeline, method, method.schedule(self.settings.training, how))
        return Personalized(trained, how) if method.personalized else trained

    def result(self, folder: Path) -> "PersonalResult":
        return PersonalResult(self, tuple(json.loads((folder / "personal.json").read_text())))


@dataclass(frozen=True)
class Result:
    """What a run gave: `accuracy` on the test set after each round, in percent."""

    run: Run
    accuracy: tuple[float, ...]
    task: ClassVar[str] = "generalization"  # as the paper calls it

    @property
    def curve(self) -> tuple[float, ...]:
        """What is to be level at the end."""
        return self.accuracy

    @property
    def accuracy_pct(self) -> float:
        """The reported accuracy: the mean over the last `training.report_rounds` rounds."""
        last = self.accuracy[-self.run.settings.training.report_rounds :]
        return sum(last) / len(last)

    @property
    def measure(self) -> str:
        """What `accuracy_pct` is, in words."""
        last = min(self.run.settings.training.report_rounds, len(self.accuracy))
        rounds = f"mean of the last {last} rounds" if last > 1 else "after the last round"
        return f"test accuracy in %, {rounds}"


@dataclass(frozen=True)
class Personal:
    """Means over the clients that have training and test images, in percent.

    Attributes
    ----------
    best
        The paper's rule (Sec. 5.1): of each client's best round or epoch. Chosen on the test
        split, hence favourable, and the more so the longer the curve: federated methods have one
        point per round, ReGL one per epoch of fine-tuning.
    last
        Of each client's last round or epoch.
    left_out
        Number of clients without training or without test images.
    """

    best: float
    last: float
    left_out: int


@dataclass(frozen=True)
class PersonalResult:
    """What a run gave: `clients`, of each the accuracy on its own test split, in percent.

    After each round, or each epoch of fine-tuning; None for a client without images.
    """

    run: PersonalRun
    clients: tuple[Sequence[float] | None, ...]
    task: ClassVar[str] = "personalization"  # as the paper calls it

    @property
    def curve(self) -> tuple[float, ...]:
        """Mean over the clients that have training and test images."""
        kept = [curve for curve in self.clients if curve is not None]
        return tuple(sum(each) / len(kept) for each in zip(*kept, strict=True))

    @property
    def personal(self) -> Personal:
        """Means over the clients, by the paper's rule and beside it. ReglError if none is left."""
        kept = [curve for curve in self.clients if curve is not None]
        if not kept:
            raise ReglError(
                f"none of the {len(self.clients)} clients has both training and test images; "
                "there is nothing to personalise"
            )
        return Personal(
            # Beside NaN `max` is whatever comes first; a client that has diverged has no best.
            best=sum(max(curve) + 0 * sum(curve) for curve in kept) / len(kept),
            last=sum(curve[-1] for curve in kept) / len(kept),
            left_out=len(self.clients) - len(kept),
        )

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


class Handed(BaseModel):
    """What was worked out before a notebook was started, and its kernel must not work out anew.

    settings : the digest of the settings, as `provenance` has it.
    results : the folder of each run's result, by `identity`; None for a notebook without grid.
    """

    settings: str
    results: dict[str, str] | None

    def folders(self, grid: "Sequence[Run]") -> list[Path]:
        """Where the results of `grid` lie. ReglError for a run that nobody asked for before."""
        try:
            return [Path(self.results[identity(run)]) for run in grid]
        except KeyError:
            raise ReglError(
                "the grid is not the one that was computed: settings were edited while the "
                "notebook ran, run it again; or a run is not in the cell tagged grid"
            ) from None


def handed() -> Handed | None:
    """What this process was handed as the kernel of `make`; None for anyone else's, JupyterLab's.

    So an edit while a notebook runs never leaves a table at other settings.
    """
    file = os.environ.get(HANDED)
    return Handed(**json.loads(Path(file).read_bytes())) if file else None


def identity(run: BaseModel) -> str:
    """SHA-256 (hex) of the kind and all fields of a run."""
    return hashlib.sha256(f"{type(run).__qualname__} {run.model_dump_json()}".encode()).hexdigest()


def run_all(
    grid: Sequence[Run], store: "Store | None" = None, workers: int | None = None
) -> list[Result] | list[PersonalResult]:
    """The results of `grid`, in its order. What the store has is read, the rest computed.

    Independent stages run in `workers` processes (default: one per core or GPU) of one thread each,
    with one progress bar. Killed at any moment, the next call goes on from what is done. Where
    `make` has computed the grid before it started this notebook, only its results are read.
    """
    known = handed() if store is None else None
    if known is not None and known.results is not None:
        folders = known.folders(grid)
    else:
        from .engine import Store, run_stages
        from .pipeline import Pipeline

        store = store or Store(STORE)
        pipeline = Pipeline(store.root / "packed")
        stages = [run.stage(pipeline) for run in grid]
        run_stages(stages, store, workers)
        folders = [store.path(stage) for stage in stages]
    return [run.result(folder) for run, folder in zip(grid, folders, strict=True)]
