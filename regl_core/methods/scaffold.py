"""SCAFFOLD."""

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import nn

from ..weights import Weights, combine, mean
from .base import Round, Server, State, Task, Update, moving
from .fedavg import FedAvg
from .fednova import weight_of_steps


class Scaffold(FedAvg):
    """Control variates c_i, c take the drift out of local steps; all start from zero.

        step along  g + c − c_i
        c_i⁺ = c_i − c + (x − y_i)/(η_l a_i)
        x ← x + η_g · mean_S(y_i − x)
        c ← c + (1/N) Σ_S (c_i⁺ − c_i)

    Karimireddy et al., "SCAFFOLD: stochastic controlled averaging for federated learning",
    2020, Algorithm 1, option II. Means are uniform over the selected clients, for the objective
    is (1/N) Σ f_i; N counts the clients that have images. The other methods minimise Σ p_i f_i,
    whose optimum is another one where clients differ in size. Sec. 2 says that the results
    extend to weights; the algorithm, which we follow, has none.

    The paper's local steps are plain SGD, K for every client. Here a_i is the client's own number
    of steps K_i, partial batches counted; the optimum remains the fixed point. With momentum ρ
    they lead farther, and a_i is FedNova's (`weight_of_steps`, as Sec. 5 of its paper proposes),
    so that c_i⁺ remains a mean of the client's gradients. Weight decay is part of these gradients.

    Buffers, of which the paper has none, are averaged uniformly as parameters are, so that
    running statistics and parameters stand for the same mixture of clients; η_g leaves them
    alone, and a variance cannot become negative.

    A client keeps c_i, as large as the trainable parameters, and sends as much again as in
    FedAvg; so does the server. One without images is not counted in N, and its c_i stays zero;
    one with a single image takes a step per epoch, and counts in the means like any other.

    η_g (`server_rate`) is 1 in all the paper's experiments (Sec. 7); its theory favours more
    (Sec. 3.1).
    """

    name = "SCAFFOLD"
    uploads = ("change",)
    candidates = ("server_rate", (1.0, 1.5, 2.0, 4.0))
    server_rate: float = Field(
        1.0, gt=0, description="η_g, server learning rate; the paper's experiments"
    )

    def server_state(self, weights: Weights) -> Server:
        return Server(weights, {"c": combine(torch.zeros_like, weights)})

    def client_state(self, weights: Weights) -> State:
        return {"c": combine(torch.zeros_like, weights)}

    def answer(self, server: Server, client: int) -> Server:
        return server

    def prepare(self, task: Task) -> Any:
        correction = combine(torch.sub, task.received.extra["c"], task.state["c"])
        return list(task.now.net.parameters()), list(correction.params.values())

    def correct(self, net: nn.Module, context: Any) -> None:
        gradients, _, corrections = moving(*context)
        torch._foreach_add_(gradients, corrections)

    def finish(self, task: Task, trained: Weights, steps: int) -> tuple[State, Update]:
        training = task.now.training
        reach = training.rate * weight_of_steps(steps, training.momentum)
        change = combine(
            lambda x, y, c: (x - y) / reach - c, task.start, trained, task.received.extra["c"]
        )
        own = combine(torch.add, task.state["c"], change)
        return {"c": own}, Update(trained, task.count, {"change": change})

    def aggregate(self, server: Server, updates: Mapping[int, Update], now: Round) -> Server:
        sent = [updates[client] for client in sorted(updates)]
        uniform = [1 / len(sent)] * len(sent)
        average = mean([update.weights for update in sent], uniform)
        # lerp(x, ȳ, η) is x + η(ȳ − x), and exactly ȳ where η is 1.
        moved = combine(lambda x, y: torch.lerp(x, y, self.server_rate), server.weights, average)
        change = mean([update.extra["change"] for update in sent], uniform)
        share = len(sent) / now.clients
        c = combine(lambda c, change: c + share * change, server.extra["c"], change)
        return Server(average | moved, {"c": c})
