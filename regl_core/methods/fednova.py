"""FedNova."""

from collections.abc import Mapping

import torch

from ..weights import Weights, combine, mean
from .base import Round, Server, State, Task, Update
from .fedavg import FedAvg, weighted_mean


class FedNova(FedAvg):
    """x ← x − τ Σ p_i d_i with d_i = (x − y_i)/a_i, τ = Σ p_i a_i and p_i as in FedAvg.

    Wang et al., "Tackling the objective inconsistency problem in heterogeneous federated
    optimization", 2020, Sec. 5: a client that takes more steps moves farther, but counts no
    more. a_i, the paper's ‖a_i‖₁ (Sec. 4.1), is the weight of all its gradients together
    (`weight_of_steps`), with local momentum ρ = training.momentum, which starts anew each round.
    A client sends d_i, a_i and its buffers; it keeps nothing between rounds. The learning rate
    is part of d_i here and beside it in the paper.

    No a_i is zero, for a client without images is never selected. One that takes a single step
    has a_i = 1 at any momentum.

    The official code leaves buffers with the clients; here they are averaged as in FedAvg. Its
    server momentum is 0 by default, and no part of the equation above. Where only some clients
    are selected, the paper (footnote 1) weighs them by n_i over the images of all clients, times
    the number of clients over that of the selected; here shares sum to one in every round.
    """

    name = "FedNova"
    uploads = ("d", "a")

    def finish(self, task: Task, trained: Weights, steps: int) -> tuple[State, Update]:
        a = weight_of_steps(steps, task.now.training.momentum)
        d = combine(lambda x, y: (x - y) / a, task.start, trained)
        extra = {"d": d, "a": torch.tensor(a, dtype=torch.float64)}
        return {}, Update(Weights({}, trained.buffers), task.count, extra)

    def aggregate(self, server: Server, updates: Mapping[int, Update], now: Round) -> Server:
        sent = [updates[client] for client in sorted(updates)]
        total = sum(update.count for update in sent)
        shares = [update.count / total for update in sent]
        tau = sum(p * update.extra["a"].item() for p, update in zip(shares, sent, strict=True))
        d = mean([update.extra["d"] for update in sent], shares)
        moved = combine(lambda x, d: x - tau * d, server.weights, d)
        return Server(server.weights | weighted_mean(updates) | moved, server.extra)


def weight_of_steps(steps: int, momentum: float) -> float:
    """‖a_i‖₁ = [K − ρ(1 − ρ^K)/(1 − ρ)]/(1 − ρ): K steps of SGD with momentum ρ, started anew.

    The rate times this is how far the steps lead along a gradient that stays the same; K if ρ
    is zero.

    >>> weight_of_steps(3, 0.5)  # 1 + (1 + 1/2) + (1 + 1/2 + 1/4)
    4.25
    """
    rest = 1 - momentum
    return (steps - momentum * (1 - momentum**steps) / rest) / rest
