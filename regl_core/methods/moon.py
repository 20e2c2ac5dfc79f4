"""MOON."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ..errors import ReglError
from ..seeds import derive
from ..weights import Weights
from .base import State, Task, Update, single
from .fedavg import FedAvg


class Moon(FedAvg):
    """Features stay near those of the global model and leave those of the client's last one.

    z = projection(features), logits = classifier(z), and the local loss of one image is

        CE(logits, label) + μ·ℓ,   ℓ = −log (a / (a + b)),
        a = exp(cos(z, z_glob)/τ),   b = exp(cos(z, z_prev)/τ),

    with z_glob of the global model received, x, and z_prev of the client's last result, y_i;
    both networks are frozen and in eval mode. Aggregation is FedAvg's.

    Li, He and Song, "Model-contrastive federated learning", 2021, Algorithm 1. Defaults are
    those of the official code; the paper tunes μ in {0.1, 1, 5, 10}.

    The projection head (linear, ReLU, linear) is part of the network, as in the official code:
    it stands before the last linear layer (`fc` in the ResNets), which it replaces by one on z.
    Its weights are drawn from the seed. At μ = 0 this is FedAvg on that network. The official
    experiments give the head to every method they compare; here the others have the network of
    the paper at hand, so that this row differs from FedAvg's by the head too.

    Until a client has a last result, ℓ is 0. The official code does so in the first round, but
    a client first selected later is contrasted there with an untrained network of its own.

    A client keeps one model. During training two more are in memory, and see every batch again in
    every epoch. A client without images
    never has a last result; one with a single image needs nothing special.
    """

    name = "MOON"
    candidates = ("mu", (0.1, 1.0, 5.0, 10.0))
    mu: float = Field(
        1.0, ge=0, description="weight of the contrastive term; the paper tunes it in 0.1 to 10"
    )
    temperature: float = Field(0.5, gt=0, description="τ of the contrast; the paper")
    projection_size: int = Field(256, ge=1, description="size of z; the paper")

    def network(self, net: nn.Module, seed: int) -> nn.Module:
        linear = [name for name, layer in net.named_modules() if isinstance(layer, nn.Linear)]
        if not linear or linear[-1] == "":
            raise ReglError(
                f"method {self.name!r}: {type(net).__name__} has no features before a last linear "
                "layer; use a network that ends in one"
            )
        head = net.get_submodule(linear[-1])
        net.set_submodule(linear[-1], nn.Identity())
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(seed, "projection"))
            projection = nn.Sequential(
                nn.Linear(head.in_features, head.in_features),
                nn.ReLU(),
                nn.Linear(head.in_features, self.projection_size),
            )
            classifier = nn.Linear(self.projection_size, head.out_features)
        return Projected(net, projection.to(head.weight), classifier.to(head.weight))

    def prepare(self, task: Task) -> Any:
        """The frozen networks, global and previous; None before there is a previous one."""
        if "previous" not in task.state:
            return None
        frozen = []
        for weights in (task.start, task.state["previous"]):
            frozen.append(copy.deepcopy(task.now.net).eval().requires_grad_(False))
            weights.into(frozen[-1])
        return frozen

    def loss(self, net: nn.Module, images: Tensor, labels: Tensor, context: Any) -> Tensor:
        z = net.project(images)
        supervised = F.cross_entropy(net.fc(z), labels)
        if context is None:
            return supervised
        return supervised + self.mu * self._contrast(z, images, context)

    def finish(self, task: Task, trained: Weights, steps: int) -> tuple[State, Update]:
        return {"previous": trained}, Update(trained, task.count, {})

    def _contrast(self, z: Tensor, images: Tensor, frozen: Sequence[nn.Module]) -> Tensor:
        """ℓ, the mean over the batch."""
        with torch.no_grad():
            others = [single(net.project(images)) for net in frozen]
        near = torch.stack([F.cosine_similarity(single(z), other) for other in others], 1)
        first = torch.zeros(len(z), dtype=torch.int64, device=z.device)
        return F.cross_entropy(near / self.temperature, first)


class Projected(nn.Module):
    """A network without its last layer, a projection head and a classifier on what it gives."""

    def __init__(self, body: nn.Module, projection: nn.Module, fc: nn.Linear) -> None:
        super().__init__()
        self.body, self.projection, self.fc = body, projection, fc

    def project(self, images: Tensor) -> Tensor:
        """z, float (n, projection_size)."""
        return self.projection(self.body(images))

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.project(images))
