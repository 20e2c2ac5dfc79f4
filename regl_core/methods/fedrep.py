"""FedRep."""

from collections.abc import Callable, Sequence

from pydantic import Field
from torch import nn

from ..engine import not_in_key
from ..errors import ReglError
from ..params import TrainingSettings
from ..training import Phase
from .partial import PartlyLocal, layer


class FedRep(PartlyLocal):
    """h_i ← SGD on f_i(φ, h_i) with φ fixed, then φ_i ← SGD on f_i(φ_i, h_i) with h_i fixed;
    φ ← Σ p_i φ_i.

    Collins, Hassani, Mokhtari, Shakkottai, "Exploiting shared representations for personalized
    federated learning", 2021, Algorithm 1. The head h_i is the last layer that has parameters
    (`fc` in the ResNets) and never leaves its client; the body φ is all the rest.

    `body_epochs`, the last of a round's local epochs, train the body; the others before them
    train the head. The paper's clients take ten epochs for the head, then one or five for the
    body, by data set; as the authors' code counts (11 epochs, 1 of them for the body) every
    method has the same number of epochs: with 5 of them and 1 for the body a head gets 4.

    BatchNorm is in training mode in both phases: in the first one the body's parameters rest,
    while its running statistics follow the client's images, and they are averaged like the body.
    The authors' networks have none. With statistics at rest too, the first heads would be fitted
    to features that the initial statistics do not normalise.

    Deviations. The paper's mean of bodies is uniform; here it is weighted by sample count. Each
    phase has a fresh optimiser with the settings of all methods. The authors' code trains all
    heads once more after the last round; here a head is as old as its client's last selection.

    In the global model the head stays the initial one, so its accuracy says nothing; before it is
    first selected a client has the averaged body under the initial head.

    A client keeps its head: 0.0002 of a ResNet34 with 10 classes, 0.002 with 100. One without
    images never has one of its own; the head of one with a single class has seen no other.
    """

    name = "FedRep"
    candidates = ("body_epochs", (1, 2, 3, 4))
    body_epochs: int = Field(
        1, ge=1, description="local epochs for the body, the others are the head's; official code"
    )

    @not_in_key
    def check(self, training: TrainingSettings) -> None:
        if training.local_epochs <= self.body_epochs:
            raise ReglError(
                f"method {self.name!r}: given body_epochs = {self.body_epochs}, expected fewer "
                f"than training.local_epochs = {training.local_epochs}: the head is trained in the "
                "rest of them"
            )

    def phases(self, net: nn.Module, training: TrainingSettings) -> Sequence[Phase]:
        head_epochs = training.local_epochs - self.body_epochs
        names = {name for name, _ in net.named_parameters()}
        own = set(filter(self.local(net), names))
        return Phase(head_epochs, own), Phase(self.body_epochs, names - own)

    def local(self, net: nn.Module) -> Callable[[str], bool]:
        last = head(net)
        return lambda name: layer(name) == last


def head(net: nn.Module) -> str:
    """Name of the last layer that has parameters of its own."""
    *_, last = (name for name, m in net.named_modules() if list(m.parameters(recurse=False)))
    return last
