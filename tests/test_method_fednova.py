"""FedNova against FedAvg and against numbers by hand; what its normaliser adds up to."""

import pytest
import torch
from method_cases import run
from torch import nn
from toy_clients import clients, same, settings

from regl_core.evidence.identities import gap
from regl_core.evidence.quadratic import Client, Quadratic, trajectory
from regl_core.methods import FedAvg, Round, Server, Update
from regl_core.methods.fednova import FedNova, weight_of_steps
from regl_core.weights import Weights


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_equal_steps_are_fedavg(momentum):
    """Whatever the momentum and the numbers of images: five and eight make two batches of four."""
    nova, avg = (run(m, clients(5, 8), momentum=momentum) for m in (FedNova(), FedAvg()))
    assert gap(nova.weights, avg.weights) < 1e-6


def test_unequal_steps_are_not():
    assert gap(run(FedNova(), momentum=0.0).weights, run(FedAvg(), momentum=0.0).weights) > 1e-3


# From x = 0 with rate 0.1: one step for client 0, three for client 1.
TWO = (Client((2.0,), (1.0,)), Client((1.0,), (-1.0,), count=3))
BY_HAND = Quadratic(TWO, start=(0.0,), rate=0.1, epochs=1, batch_size=1)


def test_one_round_of_two_clients_by_hand():
    """Gradients h(w − b), p = (1/4, 3/4), τ = 1/4 · 1 + 3/4 · 3 = 2.5.

    Client 0, h = 2, b = 1: −2, so w = 0.2; d = −0.2/1.
    Client 1, h = 1, b = −1: 1, 0.9, 0.81, so w = −0.271; d = 0.271/3.
    x = −2.5 · (−0.05 + 0.06775) = −0.044375, where FedAvg has 0.05 − 0.20325.
    """
    assert trajectory(FedNova(), BY_HAND, rounds=1)[1].item() == pytest.approx(-0.044375)


def test_one_round_with_momentum_by_hand():
    """ρ = 1/2: a = (1, 4.25), τ = 0.25 + 3.1875 = 3.4375.

    Client 0 as without. Client 1: 1, so w = −0.1; 0.5 + 0.9 = 1.4, so w = −0.24;
    0.7 + 0.76 = 1.46, so w = −0.386; d = 0.386/4.25.
    """
    x = trajectory(FedNova(), BY_HAND, rounds=1, momentum=0.5)[1].item()
    assert x == pytest.approx(-3.4375 * (-0.2 / 4 + 0.386 / 4.25 * 3 / 4))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.99])
def test_the_weight_of_the_steps_is_that_of_their_gradients(momentum):
    """The gradient of step j is in the velocity of step k ≥ j with weight ρ^(k − j)."""
    for steps in range(1, 30):
        sums = sum(momentum ** (k - j) for k in range(steps) for j in range(k + 1))
        assert weight_of_steps(steps, momentum) == pytest.approx(sums)
    assert weight_of_steps(7, 0.0) == 7


def test_a_client_selected_alone_is_fedavg():
    """Nothing is scaled by the number of clients that are not selected."""
    alone = {"client_fraction": 0.01, "momentum": 0.5}
    assert gap(run(FedNova(), **alone).weights, run(FedAvg(), **alone).weights) < 1e-6


def test_buffers_are_the_plain_mean():
    """d = 4 and 8, a = 1 and 3; p = (1/4, 3/4), τ = 2.5: x = 1 − 2.5 · 7."""

    def buffers(value, batches):
        return {"variance": torch.tensor([value]), "batches": torch.tensor(batches)}

    def update(count, d, a, *statistics):
        extra = {"d": Weights({"w": torch.tensor([d])}, {}), "a": torch.tensor(a)}
        return Update(Weights({}, buffers(*statistics)), count, extra)

    server = Server(Weights({"w": torch.tensor([1.0])}, buffers(0.5, 0)), {})
    sent = {0: update(10, 4.0, 1.0, 1.0, 7), 1: update(30, 8.0, 3.0, 5.0, 9)}
    now = Round(0, 0, nn.Identity(), settings(), 4, (1,))
    after = FedNova().aggregate(server, sent, now).weights
    assert after.params["w"].item() == -16.5
    assert after.buffers["variance"].item() == 4.0 and after.buffers["batches"].item() == 9
    backwards = {client: sent[client] for client in (1, 0)}
    assert same(FedNova().aggregate(server, backwards, now).weights, after)
    assert same(
        Weights({}, run(FedNova(), rounds=1).weights.buffers),
        Weights({}, run(FedAvg(), rounds=1).weights.buffers),
    )


MUTATIONS = (
    ("the server steps the other way", "x - tau * d", "x + tau * d"),
    ("steps are not normalised", "lambda x, y: (x - y) / a", "lambda x, y: x - y"),
    (
        "momentum is ignored",
        "a = weight_of_steps(steps, task.now.training.momentum)",
        "a = float(steps)",
    ),
    ("numbers of images are ignored", "[update.count / total for", "[1 / len(sent) for"),
    ("τ ignores the shares", "sum(p * update.extra", "sum(update.extra"),
    (
        "τ is the largest a",
        'sum(p * update.extra["a"].item() for p, update in zip(shares, sent, strict=True))',
        'max(update.extra["a"].item() for update in sent)',
    ),
    (
        "shares are of all clients, selected or not",
        "total = sum(update.count for update in sent)",
        "total = sum(update.count for update in sent) * now.clients / len(sent)",
    ),
    ("buffers stay at the server", " | weighted_mean(updates)", ""),
    ("ρ^K is forgotten", "(1 - momentum**steps)", "(1 - momentum)"),
    ("the live buffers are sent", "trained.buffers", "dict(task.now.net.named_buffers())"),
)
