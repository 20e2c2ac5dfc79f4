"""How far a federation has come, as a value, and the file that keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .engine.checkpoints import Checkpoint
from .methods.base import Server, State
from .training import Update
from .weights import Weights


@dataclass(frozen=True)
class FederationState:
    """A federation between two clients, or within the turn of one.

    Attributes
    ----------
    round
        Number of rounds finished.
    server, clients
        Their states; of a client that has taken its turn in the round under way, the new one.
    updates
        What the clients have sent in the round under way, by client.
    accuracy
        Of the global model on the global test set after each round, in percent.
    personal
        After each round, every client's own accuracy in percent; None for a client left out.
    turn
        How far the next client, or after all of them the server, has come (`stepwise`); None if
        it has not begun.
    """

    round: int
    server: Server
    clients: tuple[State, ...]
    updates: Mapping[int, Update]
    accuracy: tuple[float, ...]
    personal: tuple[tuple[float | None, ...], ...]
    turn: Any = None


class FederationCheckpoint(Checkpoint):
    """Saves the latest `FederationState`, and writes no weights twice."""

    kinds = (FederationState, Server, Update, Weights)
    lasting = (Weights,)


@dataclass(frozen=True)
class TurnCheckpoint:
    """Saves how far a turn has come, as part of the `progress` that it started from."""

    checkpoint: FederationCheckpoint
    progress: FederationState

    @property
    def due(self) -> bool:
        """Whether the checkpoint would save now."""
        return self.checkpoint.due

    def load(self) -> Any:
        """How far it had come."""
        return self.progress.turn

    def save(self, value: Any) -> None:
        """Save it with all the rest."""
        self.checkpoint.save(replace(self.progress, turn=value))
