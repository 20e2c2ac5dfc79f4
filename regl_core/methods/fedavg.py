"""FedAvg."""

from collections.abc import Mapping

from ..weights import Weights, mean
from .base import Method, Round, Server, State, Task, Update


class FedAvg(Method):
    """x ← Σ p_i y_i with p_i = n_i / Σ n over the selected clients.

    McMahan et al., "Communication-efficient learning of deep networks from decentralized
    data", 2017, Algorithm 1 as its erratum has it. n_i counts the images trained on, real and
    synthetic. BatchNorm's running statistics are averaged like parameters.

    A client keeps nothing between rounds. One without images is never selected and weighs
    nothing. A batch of a single image holds it twice, since BatchNorm cannot train on one value;
    n_i counts it once. So it is in the methods derived from this one, unless they say otherwise.
    """

    name = "FedAvg"

    def finish(self, task: Task, trained: Weights, steps: int) -> tuple[State, Update]:
        return {}, Update(trained, task.count, {})

    def aggregate(self, server: Server, updates: Mapping[int, Update], now: Round) -> Server:
        return Server(server.weights | weighted_mean(updates), server.extra)


def weighted_mean(updates: Mapping[int, Update]) -> Weights:
    """Σ p_i y_i over what the clients sent, in ascending order of the clients."""
    ordered = [updates[client] for client in sorted(updates)]
    total = sum(update.count for update in ordered)
    return mean(
        [update.weights for update in ordered], [update.count / total for update in ordered]
    )
