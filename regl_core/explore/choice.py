"""What the sliders say, as a value, and the partition it means."""

from typing import Annotated

from pydantic import Field

from ..partition import IID, Clients, Dirichlet
from ..report.formats import spoken
from ..settings.frozen import Frozen

# About evenly spaced on a logarithmic scale, with the paper's values among them.
BETAS = (
    *(0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0),
)


class Choice(Frozen):
    """A partition of a data set. `beta` None is IID; `at_least` images go to each client."""

    beta: Annotated[float, Field(gt=0)] | None
    clients: Clients
    at_least: Annotated[int, Field(ge=0)]
    seed: int

    @property
    def partition(self) -> Dirichlet | IID:
        """How tables and runs name it."""
        if self.beta is None:
            return IID(clients=self.clients)
        return Dirichlet(beta=self.beta, clients=self.clients, min_size=self.at_least)

    def __str__(self) -> str:
        words = "IID" if self.beta is None else spoken(self.partition.setting)
        return f"{words}, {self.clients} clients, seed {self.seed}"


def betas(wanted: tuple[float, ...]) -> tuple[float, ...]:
    """The stops of the slider: `BETAS` and `wanted`, ascending."""
    return tuple(sorted({*BETAS, *wanted}))
