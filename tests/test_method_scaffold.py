"""SCAFFOLD against FedAvg, against numbers by hand, and what its variates must add up to."""

import pytest
import torch
from method_cases import ODD, run
from torch import nn
from toy_clients import client, network, same, settings

from regl_core.clients import ClientData
from regl_core.evidence.quadratic import Bowl, Client
from regl_core.federation import federate, select
from regl_core.methods import FedAvg, Round, Server, Update
from regl_core.methods.scaffold import Scaffold
from regl_core.weights import Weights


def by_hand(rounds, momentum=0.0, **rates):
    """x, c, c_0 and c_1 of two clients on quadratics, from x = 0, with two steps of rate 0.1.

    The clients have four and three images: batches of two and two, and of two and one.
    """
    two = [Client((2.0,), (1.0,), count=4).data(), Client((1.0,), (-1.0,), count=3).data()]
    training = settings(
        rounds=rounds, local_epochs=1, batch_size=2, momentum=momentum, weight_decay=0.0
    )
    history = federate(Scaffold(**rates), Bowl((0.0,)), two, two[0], training, seed=0)
    every = [history.weights, history.server.extra["c"], *(s["c"] for s in history.clients)]
    return [weights.params["w"].item() for weights in every]


def test_first_round_by_hand():
    """All variates are zero; gradients h(w − b), K = 2 steps each.

    Client 0, h = 2, b = 1: −2, so w = 0.2; −1.6, so w = 0.36. c_0 = (0 − 0.36)/(2 · 0.1) = −1.8.
    Client 1, h = 1, b = −1: 1, so w = −0.1; 0.9, so w = −0.19. c_1 = 0.19/0.2 = 0.95.
    Uniformly, though the clients differ in size: x = 0.17/2, c = −0.85/2.
    """
    assert by_hand(1) == pytest.approx([0.085, -0.425, -1.8, 0.95])
    # η_g = 0.5 goes half the way, and c knows nothing of it.
    assert by_hand(1, server_rate=0.5) == pytest.approx([0.0425, -0.425, -1.8, 0.95])


def test_second_round_by_hand():
    """From x = 0.085 with c − c_0 = 1.375 and c − c_1 = −1.375.

    Client 0: −1.83 + 1.375, so w = 0.1305; −1.739 + 1.375, so w = 0.1669.
    c_0 = −1.8 + 0.425 + (0.085 − 0.1669)/0.2 = −1.7845.
    Client 1: 1.085 − 1.375, so w = 0.114; 1.114 − 1.375, so w = 0.1401.
    c_1 = 0.95 + 0.425 + (0.085 − 0.1401)/0.2 = 1.0995.
    x = 0.307/2, c = −0.425 + (0.0155 + 0.1495)/2.
    """
    assert by_hand(2) == pytest.approx([0.1535, -0.3425, -1.7845, 1.0995])


def test_momentum_by_hand():
    """With ρ = 1/2 the first of two gradients counts 1.5, the second 1: a = 2.5.

    Client 0: −2, so w = 0.2; 0.5 · −2 − 1.6 = −2.6, so w = 0.46. c_0 = −0.46/(0.1 · 2.5), which
    is the mean of its gradients, (1.5 · −2 − 1.6)/2.5.
    Client 1: 1, so w = −0.1; 0.5 + 0.9 = 1.4, so w = −0.24. c_1 = 0.96.
    """
    assert by_hand(1, momentum=0.5) == pytest.approx([0.11, -0.44, -1.84, 0.96])


def test_identical_clients_are_fedavg_bit_for_bit():
    one = client(1)
    images, labels = one.images.repeat(5, 1, 1, 1), one.labels.repeat(5)
    data = [ClientData(images, labels)] * 3  # so that each draws the same batches
    scaffold, fedavg = run(Scaffold(), data), run(FedAvg(), data)
    assert same(scaffold.weights, fedavg.weights)
    assert scaffold.server.extra["c"].params["0.weight"].abs().max() > 0


def test_one_client_is_fedavg_bit_for_bit():
    assert same(run(Scaffold(), [client(9)]).weights, run(FedAvg(), [client(9)]).weights)


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_the_mean_of_the_clients_variates_is_the_servers(fraction):
    history = run(Scaffold(), ODD, client_fraction=fraction)
    owners = [state["c"] for state, data in zip(history.clients, ODD, strict=True) if len(data)]
    for name, c in history.server.extra["c"].params.items():
        assert torch.allclose(
            torch.stack([own.params[name] for own in owners]).mean(0), c, atol=1e-6
        )
        assert c.abs().max() > 0
    empty = history.clients[2]["c"].params.values()
    assert not any(tensor.any() for tensor in empty)


def test_a_client_keeps_its_variate_while_it_is_not_selected():
    states = [run(Scaffold(), ODD, client_fraction=0.5, rounds=r).clients for r in (1, 2, 3)]
    for number in (1, 2):
        chosen = select([0, 1, 3, 4], 0.5, 0, number)
        assert 0 < len(chosen) < 4
        for i in range(5):
            before, after = states[number - 1][i]["c"], states[number][i]["c"]
            assert same(before, after) == (i not in chosen)


def scalar(value, batches=0):
    buffers = {"variance": torch.tensor([value]), "batches": torch.tensor(batches)}
    return Weights({"w": torch.tensor([value])}, buffers)


def test_the_server_by_hand():
    """x = 1 and 2 of 4 clients; y = 2, 6 with 10 and 30 images, c = 1, changes 3 and 5."""
    server = Server(scalar(1.0), {"c": Weights({"w": torch.tensor([1.0])}, {})})
    changes = [{"change": Weights({"w": torch.tensor([value])}, {})} for value in (3.0, 5.0)]
    sent = {0: Update(scalar(2.0, 7), 10, changes[0]), 1: Update(scalar(6.0, 9), 30, changes[1])}
    now = Round(0, 0, nn.Identity(), settings(), 4, (1,))
    after = Scaffold(server_rate=2.0).aggregate(server, sent, now)
    assert after.weights.params["w"].item() == 7.0  # 1 + 2 · (4 − 1)
    assert after.weights.buffers["variance"].item() == 4.0  # uniform, and without η_g
    assert after.weights.buffers["batches"].item() == 9
    assert after.extra["c"].params["w"].item() == 3.0  # 1 + (3 + 5)/4
    assert not after.extra["c"].buffers
    backwards = {client: sent[client] for client in (1, 0)}
    assert same(Scaffold(server_rate=2.0).aggregate(server, backwards, now).weights, after.weights)


def test_variates_start_from_zero_and_know_no_buffers():
    weights = Weights.of(network())
    for state in (Scaffold().server_state(weights).extra, Scaffold().client_state(weights)):
        assert state["c"].params.keys() == weights.params.keys() and not state["c"].buffers
        assert not any(tensor.any() for tensor in state["c"].params.values())


MUTATIONS = (
    (
        "the correction has the wrong sign",
        'torch.sub, task.received.extra["c"], task.state["c"]',
        'torch.sub, task.state["c"], task.received.extra["c"]',
    ),
    ("the variate has the wrong sign", "(x - y) / reach - c", "(y - x) / reach - c"),
    ("c is not taken off the client's variate", "(x - y) / reach - c", "(x - y) / reach"),
    (
        "the correction is added to copies",
        "torch._foreach_add_(gradients",
        "torch._foreach_add(gradients",
    ),
    ("the client's variate is dropped", 'return {"c": own}', "return task.state"),
    ("the server's variate is dropped", '{"c": c})', "server.extra)"),
    ("momentum is not accounted for", "weight_of_steps(steps, training.momentum)", "steps"),
    (
        "epochs are counted, not steps",
        "weight_of_steps(steps, training.momentum)",
        "training.local_epochs",
    ),
    (
        "clients count by their images",
        "uniform = [1 / len(sent)] * len(sent)",
        "uniform = [u.count / sum(u.count for u in sent) for u in sent]",
    ),
    ("c moves as if all clients took part", "share = len(sent) / now.clients", "share = 1"),
    ("the server's rate is ignored", "self.server_rate), ", "1.0), "),
    (
        "the variates start from the network",
        'return {"c": combine(torch.zeros_like, weights)}',
        'return {"c": combine(torch.clone, weights)}',
    ),
)
