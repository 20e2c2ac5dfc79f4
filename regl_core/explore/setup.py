"""What the parts of the board share."""

from dataclasses import dataclass
from typing import Self

from ..data import Dataset
from ..params import Settings
from ..pipeline import Pipeline
from .job import Job


@dataclass(frozen=True, eq=False)
class Setup:
    """The first data set of `settings`, and where and how results come to be."""

    settings: Settings
    name: str
    dataset: Dataset
    pipeline: Pipeline
    job: Job

    @classmethod
    def of(cls, settings: Settings, job: Job) -> Self:
        """Loads the data set. ReglError where it cannot be loaded."""
        name, pipeline = next(iter(settings.datasets)), Pipeline()
        _, dataset = pipeline.source(name, settings)
        return cls(settings, name, dataset, pipeline, job)

    @property
    def drawn(self) -> int:
        """Synthetic images of each class and client."""
        return self.settings.datasets[self.name].synthetic_per_class
