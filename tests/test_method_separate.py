"""Separate: each client alone, and nothing but a count sent."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from toy_clients import (
    assert_own_models,
    assert_same,
    client,
    clients,
    killed_and_resumed,
    network,
    same,
    settings,
    tiny_clients,
)

from regl_core.clients import ClientData
from regl_core.federation import federate, select
from regl_core.methods.fedavg import FedAvg
from regl_core.methods.separate import Separate
from regl_core.training import Phase, evaluate, local_sgd
from regl_core.weights import Weights

TEST = client(12, seed=99)
DATA = clients(5, 9, 0, 3)
SPLITS = [client(7, seed=40 + number) for number in range(4)]


def run(method=None, data=DATA, net=None, checkpoint=None, tick=lambda fraction: None, **changes):
    return federate(
        method or Separate(),
        net or network(),
        data,
        TEST,
        settings(**changes),
        0,
        tick,
        checkpoint,
        personal=SPLITS[: len(data)],
    )


def test_each_client_is_a_federation_of_one():
    together = run()
    for number in (0, 1, 3):
        alone = [data if i == number else client(0) for i, data in enumerate(DATA)]
        fedavg = run(FedAvg(), alone)
        assert same(together.clients[number]["weights"], fedavg.weights)
        own, reference = ([r[number] for r in h.personal] for h in (together, fedavg))
        assert own == reference and len(own) == 3


def test_the_same_epochs_by_hand():
    """Two of three clients a round: a client trains on, from its own weights, when selected."""
    training = settings(rounds=6, client_fraction=0.6)
    history = run(rounds=6, client_fraction=0.6)
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
    sent = []

    class Watched(Separate):
        name = "watched"

        def aggregate(self, server, updates, now):
            sent.append(updates)
            return super().aggregate(server, updates, now)

    history = run(Watched())
    for updates in sent:
        assert {number: update.count for number, update in updates.items()} == {0: 5, 1: 9, 3: 3}
        for update in updates.values():
            assert not update.weights.params and not update.weights.buffers and not update.extra
    assert same(history.weights, Weights.of(network())) and not history.server.extra
    assert history.accuracy == (evaluate(network(), TEST),) * 3


def test_a_client_never_selected_has_the_initial_model():
    history = run(rounds=1, client_fraction=0.3)
    (chosen,) = select([0, 1, 3], 0.3, 0, 0)
    for number in {0, 1, 3} - {chosen}:
        assert history.clients[number] == {}
        assert history.personal[0][number] == evaluate(network(), SPLITS[number])
    assert not same(history.clients[chosen]["weights"], Weights.of(network()))


def test_separate_is_not_fedavg():
    history, fedavg = run(), run(FedAvg())
    assert not same(history.clients[0]["weights"], fedavg.weights)
    assert not same(history.clients[0]["weights"], history.clients[1]["weights"])


def test_what_a_client_keeps_is_a_copy():
    class Watched(Separate):
        name = "watched"

        def finish(self, task, trained, steps):
            state, update = super().finish(task, trained, steps)
            live = {t.data_ptr() for t in task.now.net.state_dict().values()}
            kept = state["weights"]
            assert not live & {t.data_ptr() for t in (kept.params | kept.buffers).values()}
            return state, update

    run(Watched())


def test_a_killed_federation_goes_on_bit_for_bit(tmp_path):
    sampled = partial(run, client_fraction=0.7)
    whole = sampled()
    for turns in range(1, 7):
        assert_same(killed_and_resumed(sampled, tmp_path, turns), whole)


def test_empty_and_tiny_clients():
    history = run(data=tiny_clients())
    own = {number: history.clients[number]["weights"] for number in (1, 2, 3)}
    assert_own_models(history, own, SPLITS)


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
