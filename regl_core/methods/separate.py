"""Separate: every client trains alone."""

from collections.abc import Mapping

from ..weights import Weights
from .base import Method, Round, Server, State, Task, Update


class Separate(Method):
    """w_i ← local SGD from the client's own w_i; the server never changes anything.

    Table 4's reference without communication: the same rounds × local epochs as every other
    federated method. Where test splits are as skewed as the clients, it is no lower bound: in the
    paper it beats FedAvg at β = 0.01. Every client starts from the same initial weights.
    As in all methods the local optimiser is fresh each round, so with momentum this is not quite
    one uninterrupted run.

    There is no global model: the server's stays the initial one, and its accuracy is that of an
    untrained network. A client sends its count and no weights. With client sampling a client
    trains in the rounds it is selected in, as it would elsewhere; before the first of them its
    personal model is the initial one.

    A client keeps its weights: 1 model. One without images keeps none, as it never trains. One
    with a single image or class trains on that alone: nobody tells it of others.
    """

    name = "Separate"

    def start(self, received: Server, state: State) -> Weights:
        return state.get("weights", received.weights)

    def finish(self, task: Task, trained: Weights, steps: int) -> tuple[State, Update]:
        return {"weights": trained}, Update(Weights({}, {}), task.count, {})

    def aggregate(self, server: Server, updates: Mapping[int, Update], now: Round) -> Server:
        return server
