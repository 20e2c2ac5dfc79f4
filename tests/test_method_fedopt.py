"""FedOpt against FedAvg and against numbers by hand, for each optimiser of the server."""

from math import sqrt

import pytest
import torch
from method_cases import run
from torch import nn
from toy_clients import same, settings

from regl_core.evidence.quadratic import Client, Quadratic, trajectory
from regl_core.methods import FedAvg, Round, Server, Update
from regl_core.methods.fedopt import FedOpt
from regl_core.weights import Weights

ADAPTIVE = ("FedAdam", "FedYogi", "FedAdagrad")


def test_sgd_of_rate_one_is_fedavg_bit_for_bit():
    assert same(run(FedOpt(variant="SGD", server_rate=1.0)).weights, run(FedAvg()).weights)


# From x = 0 one step of rate 0.1 along h(w − b): −2 and 1, so y = 0.2 and −0.1. With one image
# against three Δ = 0.2/4 − 0.1 · 3/4 = −0.025.
TWO = (Client((2.0,), (1.0,)), Client((1.0,), (-1.0,), count=3))
BY_HAND = Quadratic(TWO, start=(0.0,), rate=0.1, epochs=1, batch_size=3)


def test_sgd_by_hand():
    """From −0.0125: 0.2 · 1.0125 and −0.1 · 0.9875 ahead, so Δ = 0.050625 − 0.0740625."""
    x = trajectory(FedOpt(variant="SGD", server_rate=0.5), BY_HAND, rounds=2)
    assert x.flatten().tolist() == pytest.approx([0, -0.0125, -0.0125 + 0.5 * -0.0234375])


@pytest.mark.parametrize(
    ("variant", "v"),
    [
        # Δ² = 0.000625, and v was τ² = 0.01² = 0.0001, less than Δ².
        ("FedAdam", 0.75 * 0.0001 + 0.25 * 0.000625),
        ("FedYogi", 0.0001 + 0.25 * 0.000625),
        ("FedAdagrad", 0.0001 + 0.000625),
    ],
)
def test_first_round_by_hand(variant, v):
    """β₁ = 0.5: m = −0.0125, and its bias is not corrected. x = 0.1 m/(√v + 0.01)."""
    method = FedOpt(variant=variant, beta1=0.5, beta2=0.75, tau=0.01)
    x = trajectory(method, BY_HAND, rounds=1)[1].item()
    assert x == pytest.approx(0.1 * -0.0125 / (sqrt(v) + 0.01))


def weights(w, variance, batches):
    buffers = {"variance": torch.tensor([variance]), "batches": torch.tensor(batches)}
    return Weights({"w": torch.tensor([w])}, buffers)


@pytest.mark.parametrize(
    ("variant", "v"),
    [
        ("FedAdam", 0.75 * 16 + 0.25 * 9),
        ("FedYogi", 16 - 0.25 * 9),  # v is more than Δ²
        ("FedAdagrad", 16 + 9),
    ],
)
def test_a_later_round_by_hand(variant, v):
    """x = 1, y = 2 and 3 of one and three images … Δ = 3 − … m = 4, v = 16 go on.

    y = 1 with 10 images, 5 with 30: their mean is 4, Δ = 3, m = 0.5 · 4 + 0.5 · 3 = 3.5.
    """
    moments = {
        "m": Weights({"w": torch.tensor([4.0])}, {}),
        "v": Weights({"w": torch.tensor([16.0])}, {}),
    }
    server = Server(weights(1.0, 0.5, 0), moments)
    sent = {0: Update(weights(1.0, 1.0, 7), 10, {}), 1: Update(weights(5.0, 5.0, 9), 30, {})}
    now = Round(0, 0, nn.Identity(), settings(), 4, (1,))
    method = FedOpt(variant=variant, beta1=0.5, beta2=0.75, tau=1.0, server_rate=2.0)
    after = method.aggregate(server, sent, now)
    assert after.extra["m"].params["w"].item() == pytest.approx(3.5)
    assert after.extra["v"].params["w"].item() == pytest.approx(v)
    assert after.weights.params["w"].item() == pytest.approx(1 + 2 * 3.5 / (sqrt(v) + 1))
    assert after.weights.buffers["variance"].item() == 4.0
    assert after.weights.buffers["batches"].item() == 9
    backwards = {client: sent[client] for client in (1, 0)}
    assert same(method.aggregate(server, backwards, now).weights, after.weights)


@pytest.mark.parametrize("variant", [*ADAPTIVE, "SGD"])
def test_buffers_move_by_the_plain_mean_alone(variant):
    """However large the server's rate, running variances stay what the clients measured."""
    method = FedOpt(variant=variant, server_rate=5.0)
    first, fedavg = run(method, rounds=1).weights, run(FedAvg(), rounds=1).weights
    assert same(Weights({}, first.buffers), Weights({}, fedavg.buffers))
    later = run(method)
    assert later.weights.buffers["1.running_var"].min() > 0
    assert later.weights.buffers["1.num_batches_tracked"].dtype == torch.int64
    assert all(not moment.buffers for moment in later.server.extra.values())


MUTATIONS = (
    (
        "the server steps the other way",
        "torch.sub, average, server.weights",
        "torch.sub, server.weights, average",
    ),
    ("v starts from zero", "torch.full_like(x, self.tau**2)", "torch.zeros_like(x)"),
    (
        "the first moment is not damped",
        "self.beta1 * m + (1 - self.beta1) * d",
        "self.beta1 * m + d",
    ),
    ("FedYogi's sign is flipped", "(v - square).sign()", "(square - v).sign()"),
    ("FedYogi has no sign", " * (v - square).sign()", ""),
    ("FedAdagrad forgets", "return v + square", "return square"),
    (
        "β₂ is the share of what is new",
        "return self.beta2 * v + (1 - self.beta2) * square",
        "return (1 - self.beta2) * v + self.beta2 * square",
    ),
    ("τ is under the root", "(v.sqrt() + self.tau)", "(v + self.tau).sqrt()"),
    ("moments are not kept", 'moved, {"m": m, "v": v}', "moved, server.extra"),
    ("buffers stay at the server", 'average | moved, {"m"', 'server.weights | moved, {"m"'),
    ("SGD ignores its rate", "torch.lerp(x, y, self.server_rate)", "torch.lerp(x, y, 1.0)"),
)
