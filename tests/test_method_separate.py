"""Separate: each client alone, and nothing but a count sent."""

import math

import pytest
import torch
from method_cases import DATA, SPLITS, TEST, given, run, watched
from torch import nn
from toy_clients import client, network, same, settings

from regl_core.clients import ClientData
from regl_core.federation import federate, select
from regl_core.methods import FedAvg
from regl_core.methods.separate import Separate
from regl_core.training import Phase, evaluate, local_sgd
from regl_core.weights import Weights


def test_each_client_is_a_federation_of_one():
    together = run(Separate())
    for number in (0, 1, 3):
        alone = [data if i == number else client(0) for i, data in enumerate(DATA)]
        fedavg = run(FedAvg(), alone)
        assert same(together.clients[number]["weights"], fedavg.weights)
        own, reference = ([r[number] for r in h.personal] for h in (together, fedavg))
        assert own == reference and len(own) == 3


def test_the_same_epochs_by_hand():
    """Two of three clients a round: a client trains on, from its own weights, when selected."""
    training = settings(rounds=6, client_fraction=0.6)
    history = run(Separate(), rounds=6, client_fraction=0.6)
    for number in (0, 1, 3):
        net, expected = network(), []
        for turn in range(6):
            if number in select([0, 1, 3], 0.6, 0, turn):
                path = (0, "batches", number, turn)
                local_sgd(net, DATA[number], training, path, [Phase(2)])
            expected.append(evaluate(net, SPLITS[number]))
        assert same(history.clients[number]["weights"], Weights.of(net))
        assert [own[number] for own in history.personal] == expected


def test_two_rounds_of_two_linear_clients_by_hand():
    """Gradient row k is the mean of (p_k − [y = k]) x; from W = 0 both classes have p = 1/2."""
    net = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(net.weight)
    two = [
        ClientData(torch.tensor([[2.0]]), torch.tensor([0])),
        ClientData(torch.tensor([[2.0], [4.0], [6.0]]), torch.tensor([1, 1, 1])),
    ]
    training = settings(
        rounds=2, local_epochs=1, batch_size=9, rate=1.0, momentum=0.0, weight_decay=0.0
    )
    history = federate(Separate(), net, two, two[1], training, seed=0)
    # First: −1/2 · 2 → W = (1, −1). Then logits (2, −2), 1 − p = 1/(1 + e⁴), step 2 (1 − p).
    first = 1 + 2 / (1 + math.exp(4))
    # First: mean of x/2 = 2 → W = (−2, 2). Then logits (−2x, 2x), 1 − p = 1/(1 + e^4x).
    second = 2 + sum(x / (1 + math.exp(4 * x)) for x in (2, 4, 6)) / 3
    for state, expected in zip(history.clients, ([first, -first], [-second, second]), strict=True):
        got = state["weights"].params["weight"].flatten().tolist()
        assert got == pytest.approx(expected, abs=1e-6)


def test_nothing_but_a_count_is_sent():
    method, aggregated = watched(Separate(), "aggregate")
    history = run(method)
    for _, updates, _ in map(given, aggregated):
        assert {number: update.count for number, update in updates.items()} == {0: 5, 1: 9, 3: 3}
        for update in updates.values():
            assert not update.weights.params and not update.weights.buffers and not update.extra
    assert same(history.weights, Weights.of(network())) and not history.server.extra
    assert history.accuracy == (evaluate(network(), TEST),) * 3


MUTATIONS = (
    (
        "a client starts from the server's weights",
        'state.get("weights", received.weights)',
        "received.weights",
    ),
    ("the weights are sent", "Update(Weights({}, {}), ", "Update(trained, "),
    (
        "running statistics are not kept",
        '{"weights": trained}',
        '{"weights": task.start | Weights(trained.params, {})}',
    ),
    (
        "only the first round is kept",
        '{"weights": trained}',
        'dict(task.state) or {"weights": trained}',
    ),
    (
        "the server takes over what the first client sends",
        "        return server\n",
        "        return Server(updates[min(updates)].weights, server.extra)\n",
    ),
)
