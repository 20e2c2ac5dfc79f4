"""What a federated method is: hooks around one loop, state in, state out.

The loop in `federation` runs every method:

    net = network(net)                                     once
    server = server_state(x), state_i = client_state(x)    once
    each round, for each selected client i:
        received = answer(server, i)                       all that reaches the client
        y = start(received, state_i)
        context = prepare(task)
        each batch: loss(net, images, labels, context), backward, correct(net, context), step
        state_i, update_i = finish(task, y, K_i)           all that reaches the server
        server = aggregate(server, updates, now)           once all selected clients are done
    client i's own model, at any time: start(answer(server, i), state_i)

`phases` divides the local epochs between groups of parameters, for methods that train them in turn.

A method is a subclass of `Method` in a file of this folder; its fields are hyper-parameters.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ..engine import Checkpoint, not_in_key
from ..params import PersonalizationSettings, TrainingSettings
from ..settings import Frozen
from ..training import Phase, cross_entropy
from ..weights import Weights

State = Mapping[str, Weights | Tensor]  # what a client keeps between rounds, by name


@dataclass(frozen=True)
class Server:
    """What the server keeps between rounds, or answers a client with.

    `weights` is the global model x, always complete; `extra` whatever else the method needs.
    """

    weights: Weights
    extra: State


@dataclass(frozen=True)
class Update:
    """All that a client sends to the server in one round.

    Attributes
    ----------
    weights
        A copy of the client's weights, or the part of them its method shares.
    count
        Number of images trained on.
    extra
        What the method declares in `Method.uploads` besides, by name.
    """

    weights: Weights
    count: int
    extra: Mapping[str, Weights | Tensor]


@dataclass(frozen=True)
class Round:
    """The facts of one round that server and clients share.

    Attributes
    ----------
    number
        Of the round, from 0.
    seed
        Of the run; draw as ``torch_generator(seed, "what for", client, number)``.
    net
        The one live network. Between hooks its weights are undefined.
    clients
        Number of clients that have data, selected or not (N).
    image
        Shape of one image, (channels, side, side).
    checkpoint
        In `aggregate`, where a turn of the server that can take minutes keeps how far it has come
        (`stepwise`, once in a turn); None: nowhere.
    """

    number: int
    seed: int
    net: nn.Module
    training: TrainingSettings
    clients: int
    image: tuple[int, ...]
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True)
class Task:
    """One client's work in one round.

    Attributes
    ----------
    now
        The round.
    client
        Position among all clients; it names the client in seeds and in `Server.extra`.
    count
        Number of images trained on (n_i).
    received
        The server's answer.
    state
        What the client kept of the last round it took part in.
    start
        The weights training starts from, already in ``now.net``.
    """

    now: Round
    client: int
    count: int
    received: Server
    state: State
    start: Weights


def moving(params: Sequence[Tensor], *others: Sequence[Tensor]) -> Sequence[Sequence[Tensor]]:
    """The gradients of `params`, these and what belongs to each, where there is a gradient.

    For `correct`. A parameter without one took no part in the loss; the optimiser leaves it alone.
    """
    gradients = [weight.grad for weight in params]
    there = [gradient is not None for gradient in gradients]
    columns = gradients, params, *others
    return columns if all(there) else [list(compress(column, there)) for column in columns]


def single(features: Tensor) -> Tensor:
    """`features` in single precision at least: where layers run in bfloat16, theirs are too."""
    return features.to(torch.promote_types(features.dtype, torch.float32))


class Method(Frozen):
    """Base of the methods; the defaults are those of plain local training."""

    name: ClassVar[str]  # as the tables print it
    # Images that clients train on besides: generated ones, or their own once more.
    synthesis: ClassVar[Literal["vanilla", "lora", "repeated"] | None] = None
    candidates: ClassVar[tuple[str, tuple[float, ...]] | None] = None  # to choose from (`choosing`)
    uploads: ClassVar[tuple[str, ...]] = ()  # names of what an Update holds besides weights
    masks: ClassVar[tuple[str, ...]] = ()  # those of `uploads` that are weights' masks, bool
    personalized: ClassVar[bool] = False  # each client personalises the last global model

    @not_in_key
    def check(self, training: TrainingSettings) -> None:
        """ReglError if it cannot be run with `training`."""

    @not_in_key
    def schedule(
        self, training: TrainingSettings, personalization: PersonalizationSettings
    ) -> TrainingSettings:
        """How it is trained for Table 4, whose `personalization` is ReGL's."""
        return training

    def network(self, net: nn.Module, seed: int) -> nn.Module:
        """The network to train: `net`, or one built around it, its own layers drawn from `seed`."""
        return net

    def server_state(self, weights: Weights) -> Server:
        """The server before the first round; `weights` are those of `network`."""
        return Server(weights, {})

    def client_state(self, weights: Weights) -> State:
        """What a client keeps before it first takes part."""
        return {}

    def answer(self, server: Server, client: int) -> Server:
        """What the server sends to `client`."""
        return Server(server.weights, {})

    def start(self, received: Server, state: State) -> Weights:
        """The weights a client starts from. They are also its personal model between rounds."""
        return received.weights

    def prepare(self, task: Task) -> Any:
        """What `loss` and `correct` need, made once per client and round: their `context`.

        A turn that a kill ended goes on with a context made anew, so nothing may gather in it.
        """
        return None

    def phases(self, net: nn.Module, training: TrainingSettings) -> Sequence[Phase]:
        """The stretches of local training."""
        return (Phase(training.local_epochs),)

    def loss(self, net: nn.Module, images: Tensor, labels: Tensor, context: Any) -> Tensor:
        """The local objective on one batch, a scalar."""
        return cross_entropy(net, images, labels)

    def correct(self, net: nn.Module, context: Any) -> None:
        """Change the gradient in place, after backward and before the step."""

    @abstractmethod
    def finish(self, task: Task, trained: Weights, steps: int) -> tuple[State, Update]:
        """What the client keeps and what it sends.

        Parameters
        ----------
        trained
            A copy of the weights after local training (y_i).
        steps
            Optimiser steps taken, partial batches counted (K_i).
        """

    @abstractmethod
    def aggregate(self, server: Server, updates: Mapping[int, Update], now: Round) -> Server:
        """The server after the round; `updates` by client, in ascending order."""
