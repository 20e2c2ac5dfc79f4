"""FedAMP."""

import math
import sys
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ..weights import Weights, mean
from .base import Method, Round, Server, State, Task, Update, moving


class FedAMP(Method):
    """u_i = Σ_{j≠i} ξ_ij w_j + (1 − Σ_{j≠i} ξ_ij) w_i, ξ_ij = α_k e^{−‖w_i − w_j‖²/σ}/σ;
    w_i ← SGD from w_i on F_i(w) + λ/(2 α_k) ‖w − u_i‖².

    Huang, Chu, Zhou, Wang, Liu, Pei, Zhang, "Personalized cross-silo federated learning on
    non-IID data", 2021, Algorithm 1, Eq. (5) and (6). The server attends to similar models; the
    client is drawn to u_i, its answer, but starts from its own w_i.

    λ (`regularization`), α (`alpha`), σ (`sigma`) and the decay, α_k = α · `decay` ^ ⌊k /
    `decay_rounds`⌋ in round k from 0, have the values of the code of FedCAC's authors (where the
    decay comes a round later); we found none of FedAMP's own. `decay` = 1 turns the decay off.
    With λ = 0 this is Separate.

    Where Σ ξ_ij > 1, as while models are still alike, w_i would weigh less than nothing: then α_k
    is divided by Σ ξ_ij, in u_i and in the pull. That is the longest step for which u_i is still a
    mean of models, and at w_i the pull λ/α_k (w_i − u_i) = (λ/σ) Σ e^{−‖w_i − w_j‖²/σ} (w_i − w_j)
    is what it is at any α_k. So where the guard acts, as it does at first
    with the default α, σ and λ say how strong the pull is, and α nothing; σ is what is chosen here.
    Other codes have no such guard, and u_i leaves the models far behind.

    As α_k decays, the rate η times λ/α_k passes 2, where SGD on the pull diverges. So each step
    takes the pull implicitly, w ← argmin_v g·v + λ/(2 α_k) ‖v − u_i‖² + ‖v − w‖²/(2 η), for plain
    SGD: the gradient becomes (α_k g + λ (w − u_i))/(α_k + η λ). Where η λ/α_k is small that is the
    gradient g + λ/α_k (w − u_i), and it is zero at the same w always.

    Distances, u_i and the pull concern trainable parameters; a client's buffers are its own, and
    are never sent, as in other codes.

    Peers are the clients that have taken part so far, each with the last w_j it sent; a model that
    is still the initial one teaches nothing. There is no global model: the server's stays the
    initial one, and so does a client's w_i until it is first selected.

    A client keeps its weights: 1 model. The server keeps another of each, without buffers. One
    without images never takes part and is nobody's peer; one with few is a peer like any other,
    as ξ_ij knows distances and no counts.
    """

    name = "FedAMP"
    candidates = ("sigma", (1.0, 10.0, 100.0, 1000.0))
    regularization: float = Field(
        1.0, ge=0, description="λ, weight of the pull; code of FedCAC's authors"
    )
    alpha: float = Field(
        1e4, gt=0, description="α, step of the message passing; code of FedCAC's authors"
    )
    sigma: float = Field(100.0, gt=0, description="σ of the attention; code of FedCAC's authors")
    decay: float = Field(0.1, gt=0, le=1, description="factor on α; code of FedCAC's authors")
    decay_rounds: int = Field(
        30, ge=1, description="rounds between decays; code of FedCAC's authors"
    )

    def server_state(self, weights: Weights) -> Server:
        return Server(weights, {"alpha": self._alpha(0)})

    def answer(self, server: Server, client: int) -> Server:
        models = dict(server.extra)
        alpha = models.pop("alpha")
        own = models.pop(f"w.{client}", Weights(server.weights.params, {}))
        peers = list(models.values())
        shares = self.attention([distance(own, peer) for peer in peers], float(alpha))
        excess = max(1.0, sum(shares))
        u = mean([own, *peers], [max(0.0, 1 - sum(shares)), *(share / excess for share in shares)])
        return Server(server.weights, {"u": u, "alpha": alpha / excess})

    def attention(self, distances: list[float], alpha: float) -> list[float]:
        """ξ_ij of the peers, by their squared distances."""
        return [alpha / self.sigma * math.exp(-d / self.sigma) for d in distances]

    def start(self, received: Server, state: State) -> Weights:
        return state.get("weights", received.weights)

    def prepare(self, task: Task) -> Any:
        params = dict(task.now.net.named_parameters())
        u, alpha = task.received.extra["u"], float(task.received.extra["alpha"])
        scale = alpha + task.now.training.rate * self.regularization
        goals = [u.params[name] for name in params]
        return list(params.values()), goals, alpha / scale, self.regularization / scale

    @torch.no_grad()
    def correct(self, net: nn.Module, context: Any) -> None:
        params, goals, own, pull = context
        gradients, w, u = moving(params, goals)
        torch._foreach_mul_(gradients, own)
        torch._foreach_add_(gradients, torch._foreach_sub(w, u), alpha=pull)

    def finish(self, task: Task, trained: Weights, steps: int) -> tuple[State, Update]:
        return {"weights": trained}, Update(Weights(trained.params, {}), task.count, {})

    def aggregate(self, server: Server, updates: Mapping[int, Update], now: Round) -> Server:
        sent = {f"w.{client}": update.weights for client, update in updates.items()}
        alpha = self._alpha(now.number + 1)
        return Server(server.weights, {**server.extra, **sent, "alpha": alpha})

    def _alpha(self, number: int) -> Tensor:
        """α_k of a round."""
        value = self.alpha * self.decay ** (number // self.decay_rounds)
        return torch.tensor(max(value, sys.float_info.min), dtype=torch.float64)


def distance(first: Weights, second: Weights) -> float:
    """Squared Euclidean distance over all trainable parameters."""
    pairs = ((tensor, second.params[name]) for name, tensor in first.params.items())
    norms = [torch.linalg.vector_norm(a - b, dtype=torch.float64) for a, b in pairs]
    return float(torch.stack(norms).square().sum())
