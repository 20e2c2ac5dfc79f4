"""Methods whose clients keep a part of the network for themselves: FedBN, FedRep, pFedGate."""

from abc import abstractmethod
from collections.abc import Callable

from torch import nn

from ..weights import Weights
from .base import Server, State, Task, Update
from .fedavg import FedAvg


class PartlyLocal(FedAvg):
    """x ← Σ p_i y_i for the shared part of the network; client i goes on from x with its own part.

    In the global model the clients' part stays the initial one, as no client ever sends its own. A
    client has that initial part, too, until it is first selected; one without images always has.
    """

    @abstractmethod
    def local(self, net: nn.Module) -> Callable[[str], bool]:
        """Whether the weight of a name, such as ``"layer1.0.bn1.weight"``, stays with the client.

        Buffers count as weights.
        """

    def start(self, received: Server, state: State) -> Weights:
        return received.weights | state.get("own", Weights({}, {}))

    def finish(self, task: Task, trained: Weights, steps: int) -> tuple[State, Update]:
        local = self.local(task.now.net)
        own, shared = trained.select(local), trained.select(lambda name: not local(name))
        return {"own": own}, Update(shared, task.count, {})


def layer(name: str) -> str:
    """The layer that the weight called `name` belongs to."""
    return name.rpartition(".")[0]
