"""The round loop: select, train locally, aggregate, evaluate. It runs every method.

Where the time goes, from the outside in:
    stages.trained.Trained.compute   one federation, stored once
    federation.federate              its rounds, and in each the selected clients
    federation._client_turn          one client's turn: what it receives, trains and sends
    training.local_sgd               its epochs, one after the other (`training.train_epochs`)
    training.epoch                   the hot loop: one optimiser step for each batch
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .clients import ClientData, placed, shelf
from .engine import Checkpoint
from .errors import ReglError
from .methods import Method, Round, Server, State, Task, Update
from .params import TrainingSettings
from .seeds import numpy_generator
from .training import evaluate, in_memory, local_sgd, repeatable
from .weights import Live, Weights

T = TypeVar("T")


@dataclass(frozen=True)
class FederationState:
    """How far a federation has come: between two clients, within the turn of one, or to its end.

    Attributes
    ----------
    round
        Number of rounds finished.
    server, clients
        Their states; of a client that has taken its turn in the round under way, the new one.
    updates
        What the clients have sent in the round under way, by client.
    accuracy
        Of the global model on the global test set after each round, in percent.
    personal
        After each round, each client's accuracy on its own test split with the weights it
        would start the next round from, in percent; None for a client that lacks training or
        test images. Empty if no test splits were given.
    turn
        How far the next client, or after all of them the server, has come (`stepwise`); None if
        it has not begun.
    """

    round: int
    server: Server
    clients: tuple[State, ...]
    updates: Mapping[int, Update]
    accuracy: tuple[float, ...]
    personal: tuple[tuple[float | None, ...], ...]
    turn: Any = None

    @property
    def weights(self) -> Weights:
        """The global model."""
        return self.server.weights


class FederationCheckpoint(Checkpoint):
    """Saves the latest `FederationState`, and writes no weights twice."""

    kinds = (FederationState, Server, Update, Weights)
    lasting = (Weights,)


class TurnCheckpoint(Checkpoint):
    """Saves how far a turn has come, as part of the `state` that it started from."""

    def __init__(self, checkpoint: FederationCheckpoint, state: FederationState) -> None:
        self.checkpoint, self.state = checkpoint, state

    @property
    def due(self) -> bool:
        """Whether the checkpoint would save now."""
        return self.checkpoint.due

    def load(self) -> Any:
        """How far it had come."""
        return self.state.turn

    def save(self, value: Any) -> None:
        """Save it with all the rest."""
        self.checkpoint.save(replace(self.state, turn=value))


def federate(
    method: Method,
    net: nn.Module,
    clients: Sequence[ClientData],
    test: ClientData,
    training: TrainingSettings,
    seed: int,
    tick: Callable[[float], None] = lambda fraction: None,
    checkpoint: FederationCheckpoint | None = None,
    personal: Sequence[ClientData] = (),
    after_round: Callable[[FederationState], None] = lambda state: None,
) -> FederationState:
    """Train `method` for ``training.rounds`` rounds, and say where that ends.

    Parameters
    ----------
    net
        Its weights are the first global model and its device does the work. It is not changed.
    clients
        Each one's training images. A client without images is never selected and weighs nothing.
    test
        The global test set.
    seed
        Of the run. Batches are drawn from (seed, "batches", client, round, epoch), the
        selected clients from (seed, "selection", round).
    tick
        Called after each client with the share of the work done, 0 to 1.
    checkpoint
        Where to go on from and to save to; the result is the same bit for bit.
    personal
        Each client's own test split, for methods compared on those (Table 4).
    after_round
        Told how far it has come after each round, and at first where it goes on after some.

    Raises
    ------
    ReglError
        No client has an image, or there are no test images; the method does not go with
        `training` (`Method.check`); or a batch does not fit into the memory of the device.
    """
    method.check(training)
    owners = [client for client, data in enumerate(clients) if len(data)]
    if not owners:
        raise ReglError(
            f"none of the {len(clients)} clients has an image; partition a data set that has some"
        )
    net = method.network(copy.deepcopy(net), seed)
    device, live = next(net.parameters()).device, Live.of(net)
    clients, (test, *personal) = (
        placed(several, device) for several in (clients, [test, *personal])
    )
    away = shelf(device, live.weights().bytes, len(owners))
    state = checkpoint.load(away) if checkpoint else None
    if state is None:
        weights = live.weights().to(away)
        states = (method.client_state(weights),) * len(clients)
        state = FederationState(0, method.server_state(weights), states, {}, (), ())
    elif state.round:
        after_round(state)
    with repeatable(), in_memory("federated training", training):
        for number in range(state.round, training.rounds):
            image = tuple(clients[owners[0]].images.shape[1:])
            now = Round(number, seed, net, training.in_round(number), len(owners), image)
            selected = select(owners, training.client_fraction, seed, number)
            for turn, client in enumerate(selected, 1):
                if client not in state.updates:
                    data, own = clients[client], checkpoint and TurnCheckpoint(checkpoint, state)
                    state = _client_turn(method, now, live, client, data, state, own)
                    if checkpoint:
                        checkpoint.save(state)
                tick((number + turn / len(selected)) / training.rounds)
            now = replace(now, checkpoint=checkpoint and TurnCheckpoint(checkpoint, state))
            state = _server_turn(method, now, live, clients, test, personal, state)
            after_round(state)
            if checkpoint:
                checkpoint.save(state)
    return state


def select(owners: Sequence[int], fraction: float, seed: int, number: int) -> list[int]:
    """The clients of round `number`, ascending: a share of those with data, one at least."""
    wanted = max(1, round(fraction * len(owners)))
    drawn = numpy_generator(seed, "selection", number).choice(owners, wanted, replace=False)
    return sorted(drawn.tolist())


def _client_turn(
    method: Method,
    now: Round,
    live: Live,
    client: int,
    data: ClientData,
    before: FederationState,
    checkpoint: Checkpoint | None,
) -> FederationState:
    """One client trains and sends its update."""
    device = next(now.net.parameters()).device
    away = next(iter(before.server.weights.params.values())).device
    received = _moved(method.answer(before.server, client), device)
    state = _moved(before.clients[client], device)
    start = method.start(received, state)
    live.become(start)
    task = Task(now, client, len(data), received, state, start)
    context = method.prepare(task)
    steps = local_sgd(
        now.net,
        data,
        now.training,
        (now.seed, "batches", client, now.number),
        method.phases(now.net, now.training),
        partial(method.loss, context=context),
        partial(method.correct, context=context),
        checkpoint,
    )
    state, update = method.finish(task, live.weights(), steps)
    _check_sent(method, update, before.server.weights, len(data))
    state, update = _moved(state, away), _moved(update, away)
    states = (*before.clients[:client], state, *before.clients[client + 1 :])
    updates = {**before.updates, client: update}
    return replace(before, clients=states, updates=updates, turn=None)


def _moved(value: T, device: torch.device) -> T:
    """A state or a message on `device`; what is there already is not copied."""
    match value:
        case Tensor() | Weights():
            return value.to(device)
        case Server():
            return Server(value.weights.to(device), _moved(value.extra, device))
        case Update():
            return replace(
                value, weights=value.weights.to(device), extra=_moved(value.extra, device)
            )
        case Mapping():
            return {name: _moved(part, device) for name, part in value.items()}
    return value  # what no method may send is for `_check_sent` to refuse


def _check_sent(method: Method, update: Update, known: Weights, count: int) -> None:
    """Nothing but weights of the global model, the count and what a method declares is sent.

    That is the paper's promise, and what the server can be sure of: a tensor of another shape would
    be broadcast, one of another type would change the model's, a larger count would take it over.
    """
    if not isinstance(update, Update) or set(update.extra) != set(method.uploads):
        raise ReglError(
            f"method {method.name!r}: a client must send an Update whose extra has the names in "
            f"uploads, {list(method.uploads)}; correct finish or uploads"
        )
    if update.count != count:
        raise ReglError(
            f"method {method.name!r}: a client of {count} images sent a count of {update.count}"
        )
    whole = {**known.params, **known.buffers}
    for title, part in {"": update.weights, **update.extra}.items():
        sent = {**part.params, **part.buffers} if isinstance(part, Weights) else {}
        for name, tensor in sent.items():
            expected = "no such weight"
            if name in whole:
                kind = torch.bool if title in method.masks else whole[name].dtype
                expected = f"{tuple(whole[name].shape)} of {kind}"
            given = f"{tuple(tensor.shape)} of {tensor.dtype}"
            if given != expected:
                raise ReglError(
                    f"method {method.name!r}: a client sent {name!r} as {given}, "
                    f"the model has {expected}"
                )


def _server_turn(
    method: Method,
    now: Round,
    live: Live,
    clients: Sequence[ClientData],
    test: ClientData,
    personal: Sequence[ClientData],
    before: FederationState,
) -> FederationState:
    """The server aggregates the round's updates, and the outcome is measured."""
    updates = dict(sorted(before.updates.items()))
    server = method.aggregate(before.server, updates, now)
    live.become(server.weights)
    accuracy = evaluate(now.net, test, now.training.precision)
    own: list[float | None] = []
    for client, split in enumerate(personal):
        if not len(split) or not len(clients[client]):
            own.append(None)
            continue
        live.become(method.start(method.answer(server, client), before.clients[client]))
        own.append(evaluate(now.net, split, now.training.precision))
    history = (*before.personal, tuple(own)) if personal else ()
    return FederationState(
        now.number + 1, server, before.clients, {}, (*before.accuracy, accuracy), history
    )
