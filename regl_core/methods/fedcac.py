"""FedCAC."""

from collections.abc import Mapping
from fractions import Fraction
from itertools import combinations

import torch
from pydantic import Field
from torch import Tensor

from ..weights import Weights, combine, mean
from .base import Round, Server, State, Task, Update
from .fedavg import FedAvg


class FedCAC(FedAvg):
    """Clients share critical parameters with similar clients only, the others with all.

    c = |(w⁺ − w)·w⁺| after training from w to w⁺;  m_i = 1 for the top share τ of c per tensor;
    o_ij = 1 − ‖m_i − m_j‖₁ / 2‖m_i‖₁,  j ≠ i;
    peers of i: i itself, and every j with o_ij ≥ ō + (t + 1)/β · (max o − ō), round t from 0;
    u_i = uniform mean of the peers' w⁺;  x = Σ p_i w_i⁺;  next start: m_i·u_i + (1 − m_i)·x.

    Wu et al., "Bold but cautious: Unlocking the potential of personalized federated learning
    through cautiously aggressive collaboration", 2023, Algorithm 1; code: FLAIR-Community/Fling,
    whose CIFAR-10 configuration gives the defaults τ = 0.5, β = 100 (CIFAR-100: 0.4, 170). From
    round t = β on, a client is its own only peer, unless all overlaps are equal. β = 100 is a
    third of the 300 rounds there: it has to follow the number of rounds.

    BatchNorm's running statistics are averaged into x. A client with critical parameters goes on
    from its own, as in the authors' code: they belong to its own weights. Without any (τ = 0) it
    is a client of FedAvg.

    Deviations. (1) A parameter whose c is zero is never critical; the authors' code takes a tensor
    of nothing but such for critical as a whole. (2) Where the top share ends at c ≤ 1e-10 that code
    takes every c above 1e-20; here the top share counts at any scale. (3) That code
    averages and compares all clients, also those that did not train. Here x, overlaps, threshold
    and peers are those of the selected clients; another keeps m_i, u_i and statistics of its last
    round and takes the rest from the newest x. One never selected, as one without images, has x
    and is nobody's peer. A client selected alone has no peer but itself. In u_i a peer of few
    images counts as much as any, in x by its count.

    A client keeps m_i, a quarter of the model as it is boolean, and its statistics. The server
    keeps u_i, one model for each client that took part. Overlaps are exact fractions: no rounding
    decides who is a peer.
    """

    name = "FedCAC"
    uploads = masks = ("critical",)
    candidates = ("tau", (0.25, 0.5, 0.75, 0.9))
    tau: float = Field(
        0.5, ge=0, le=1, description="share of critical parameters; official, for CIFAR-10"
    )
    beta: float = Field(
        100.0, gt=0, description="rounds until clients stand alone; official, for CIFAR-10"
    )

    def answer(self, server: Server, client: int) -> Server:
        own = server.extra.get(f"custom.{client}")
        return Server(server.weights, {"custom": own} if own else {})

    def start(self, received: Server, state: State) -> Weights:
        if not state:
            return received.weights
        own = combine(torch.where, state["critical"], received.extra["custom"], received.weights)
        return received.weights | own | state["statistics"]

    def finish(self, task: Task, trained: Weights, steps: int) -> tuple[State, Update]:
        critical = combine(self.critical, task.start, trained)
        personal = any(mask.any() for mask in critical.params.values())
        statistics = Weights({}, trained.buffers if personal else {})
        state = {"critical": critical, "statistics": statistics}
        return state, Update(trained, task.count, {"critical": critical})

    def critical(self, before: Tensor, after: Tensor) -> Tensor:
        """The mask of one tensor, bool."""
        c = ((after - before) * after).abs()
        top = c.flatten().topk(int(self.tau * c.numel())).values
        return (c >= top[-1]) & (c > 0) if len(top) else torch.zeros_like(c, dtype=torch.bool)

    def aggregate(self, server: Server, updates: Mapping[int, Update], now: Round) -> Server:
        overlaps = overlap({i: update.extra["critical"] for i, update in updates.items()})
        threshold = self.threshold(list(overlaps.values()), now.number)
        custom = {}
        for i in updates:
            peers = [j for j in sorted(updates) if j == i or overlaps[i, j] >= threshold]
            params = [Weights(updates[j].weights.params, {}) for j in peers]
            custom[f"custom.{i}"] = mean(params, [1 / len(peers)] * len(peers))
        every = super().aggregate(server, updates, now)
        return Server(every.weights, {**server.extra, **custom})

    def threshold(self, overlaps: list[Fraction], number: int) -> Fraction:
        """ō + (t + 1)/β · (max o − ō); it matters to nobody if there are no overlaps."""
        if not overlaps:
            return Fraction(1)
        average = sum(overlaps) / len(overlaps)
        return average + (number + 1) / Fraction(self.beta) * (max(overlaps) - average)


def overlap(critical: Mapping[int, Weights]) -> dict[tuple[int, int], Fraction]:
    """o_ij of every ordered pair of clients; 0 where i has no critical parameter."""
    masks = {i: torch.cat([m.flatten() for m in w.params.values()]) for i, w in critical.items()}
    sizes = {i: int(mask.sum()) for i, mask in masks.items()}
    found: dict[tuple[int, int], Fraction] = {}
    for i, j in combinations(masks, 2):
        apart = int((masks[i] != masks[j]).sum())
        for pair in ((i, j), (j, i)):
            size = sizes[pair[0]]
            found[pair] = 1 - Fraction(apart, 2 * size) if size else Fraction(0)
    return found
