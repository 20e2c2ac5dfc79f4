"""FedOpt."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from ..weights import Weights, combine
from .base import Round, Server, Update
from .fedavg import FedAvg, weighted_mean


class FedOpt(FedAvg):
    """The server takes the mean change of its clients for a gradient of an adaptive optimiser.

        Δ = Σ p_i (y_i − x)
        m ← β₁ m + (1 − β₁) Δ
        v ← v + Δ²                              FedAdagrad
            v − (1 − β₂) Δ² sign(v − Δ²)        FedYogi
            β₂ v + (1 − β₂) Δ²                  FedAdam
        x ← x + η_g m/(√v + τ)

    Reddi et al., "Adaptive federated optimization", 2021, Algorithm 2, from m = 0 and v = τ²,
    the least that it allows. "SGD" is Algorithm 1 with plain SGD at the server, x ← x + η_g Δ,
    and FedAvg at η_g = 1. Adaptive steps are taken by trainable parameters only; buffers, whose
    variances they could make negative, are averaged as in FedAvg. A client keeps nothing
    between rounds, the server m and v, each as large as the trainable parameters. One with few
    images weighs little in Δ; one without is never selected.

    Algorithm 2 averages uniformly; the p_i are those of FedAvg, as in the official code. That
    code starts from v = 0, leaves β₂ at 0.999 and has Keras's Adam correct the bias of m and v;
    here all three are as in the paper. FedAdagrad has no momentum in the paper's experiments: give
    it beta1 = 0.

    No η_g (`server_rate`) suits all tasks: FedAdam's best ones lie between 10⁻²·⁵ and 1. β₁ and β₂
    are 0.9 and 0.99 in the paper for FedAdam and FedYogi; it recommends τ = 10⁻³.
    """

    name = "FedOpt"
    candidates = ("server_rate", (0.003, 0.01, 0.03, 0.1))
    variant: Literal["FedAdam", "FedYogi", "FedAdagrad", "SGD"] = Field(
        "FedAdam", description="server optimiser; the paper's three, and plain SGD"
    )
    server_rate: float = Field(
        0.1, gt=0, description="η_g, server learning rate; the paper tunes it"
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of m; the paper")
    beta2: float = Field(0.99, ge=0, lt=1, description="decay of v; the paper")
    tau: float = Field(1e-3, gt=0, description="degree of adaptivity; the paper recommends it")

    def server_state(self, weights: Weights) -> Server:
        if self.variant == "SGD":
            return Server(weights, {})
        m = combine(torch.zeros_like, weights)
        v = combine(lambda x: torch.full_like(x, self.tau**2), weights)
        return Server(weights, {"m": m, "v": v})

    def aggregate(self, server: Server, updates: Mapping[int, Update], now: Round) -> Server:
        average = weighted_mean(updates)
        if self.variant == "SGD":
            # lerp(x, y, η) is x + η(y − x), and exactly y where η is 1.
            moved = combine(
                lambda x, y: torch.lerp(x, y, self.server_rate), server.weights, average
            )
            return Server(average | moved, {})
        delta = combine(torch.sub, average, server.weights)
        m = combine(lambda m, d: self.beta1 * m + (1 - self.beta1) * d, server.extra["m"], delta)
        v = combine(self._second_moment, server.extra["v"], delta)
        moved = combine(
            lambda x, m, v: x + self.server_rate * m / (v.sqrt() + self.tau), server.weights, m, v
        )
        return Server(average | moved, {"m": m, "v": v})

    def _second_moment(self, v: Tensor, delta: Tensor) -> Tensor:
        square = delta.square()
        if self.variant == "FedAdagrad":
            return v + square
        if self.variant == "FedYogi":
            return v - (1 - self.beta2) * square * (v - square).sign()
        return self.beta2 * v + (1 - self.beta2) * square
