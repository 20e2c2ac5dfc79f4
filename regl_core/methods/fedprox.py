"""FedProx."""

from typing import Any

import torch
from pydantic import Field
from torch import nn

from .base import Task, moving
from .fedavg import FedAvg


class FedProx(FedAvg):
    """Client i minimises F_i(w) + (μ/2)‖w − x‖², hence steps along g + μ(w − x).

    Li et al., "Federated optimization in heterogeneous networks", 2020, Eq. 2 and Algorithm 2.
    The term is over trainable parameters; buffers are averaged as in FedAvg. A client keeps
    nothing between rounds. One that takes a single step moves as in FedAvg: the term has no
    gradient at x.

    Algorithm 2 draws clients in proportion to n_i and averages uniformly; as in the paper's
    experiments (Sec. 5.1), here they are drawn uniformly and averaged with weights p_i. Clients
    differ in the steps that their data give them; none is stopped early at random.

    μ = 0 is FedAvg. The paper tunes it in {0.001, 0.01, 0.1, 1} for each data set (Sec. 5.3.2); the
    official code has had 0.01 and 0 as defaults.
    """

    name = "FedProx"
    candidates = ("mu", (0.001, 0.01, 0.1, 1.0))
    mu: float = Field(0.01, ge=0, description="weight of the proximal term; the paper tunes it")

    def prepare(self, task: Task) -> Any:
        return list(task.now.net.parameters()), list(task.start.params.values())

    @torch.no_grad()
    def correct(self, net: nn.Module, context: Any) -> None:
        gradients, w, x = moving(*context)
        torch._foreach_add_(gradients, torch._foreach_sub(w, x), alpha=self.mu)
