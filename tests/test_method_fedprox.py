"""FedProx against FedAvg, against numbers by hand and against its term in the loss."""

from functools import partial

import pytest
import torch
from torch import nn
from toy_clients import assert_same, client, clients, killed_and_resumed, network, same, settings

from regl_core import methods
from regl_core.clients import ClientData
from regl_core.errors import ReglError
from regl_core.evidence.identities import gap
from regl_core.evidence.quadratic import Client, Quadratic, trajectory
from regl_core.federation import federate
from regl_core.methods.fedavg import FedAvg
from regl_core.methods.fedprox import FedProx
from regl_core.weights import Weights

TEST = client(12, seed=99)
ONE_CLASS = ClientData(client(6, 7).images, torch.ones(6, dtype=torch.int64))
ODD = [*clients(5, 9), client(0), client(1, 8), ONE_CLASS]  # two with a last batch of one


def run(method, data=None, checkpoint=None, tick=lambda fraction: None, net=None, **changes):
    data, net = data or clients(5, 9, 3), net or network()
    return federate(method, net, data, TEST, settings(**changes), 0, tick, checkpoint, data)


def test_at_zero_it_is_fedavg_bit_for_bit():
    prox, avg = run(FedProx(mu=0.0)), run(FedAvg())
    assert same(prox.weights, avg.weights) and prox.personal == avg.personal


@pytest.mark.parametrize("mu", [FedProx().mu, 0.1])
def test_its_term_moves_the_weights(mu):
    assert gap(run(FedProx(mu=mu)).weights, run(FedAvg()).weights) > 1e-6


def test_one_local_step_is_fedavg_bit_for_bit():
    """Where w = x the term has no gradient."""
    one_step = {"batch_size": 100, "local_epochs": 1}
    assert same(run(FedProx(mu=10.0), **one_step).weights, run(FedAvg(), **one_step).weights)


def test_its_step_is_the_gradient_of_its_loss():
    class InTheLoss(FedAvg):
        name = "in the loss"

        def prepare(self, task):
            return task.start.params

        def loss(self, net, images, labels, context):
            distance = sum((w - context[n]).square().sum() for n, w in net.named_parameters())
            return super().loss(net, images, labels, context) + 0.3 / 2 * distance

    assert gap(run(FedProx(mu=0.3)).weights, run(InTheLoss()).weights) < 1e-6


def test_one_round_of_two_clients_by_hand():
    """From x = 0, two steps of rate 0.1 with μ = 1; gradients h(w − b) + (w − x).

    Client 0, h = 2, b = 1: −2, so w = 0.2; −1.6 + 0.2, so w = 0.34.
    Client 1, h = 1, b = −1: 1, so w = −0.1; 0.9 − 0.1, so w = −0.18.
    One image against three: 0.34/4 − 0.18 · 3/4 = −0.05.
    """
    two = (Client((2.0,), (1.0,)), Client((1.0,), (-1.0,), count=3))
    problem = Quadratic(two, start=(0.0,), rate=0.1, epochs=2, batch_size=3)
    assert trajectory(FedProx(mu=1.0), problem, rounds=1)[1].item() == pytest.approx(-0.05)


def test_a_larger_mu_holds_clients_back_more():
    def moved(mu):
        after = run(FedProx(mu=mu), rounds=1, momentum=0.0).weights.params
        return sum((p - after[n]).norm().item() for n, p in network().named_parameters())

    assert moved(0.0) > moved(0.3) > moved(3.0)


def test_a_parameter_outside_the_loss_stays():
    class Aside(nn.Sequential):
        def __init__(self):
            super().__init__(*network())
            self.aside = nn.Parameter(torch.ones(2))

    weights = run(FedProx(mu=0.3), net=Aside()).weights
    assert torch.equal(weights.params["aside"], torch.ones(2))


def test_odd_clients_and_sampling_are_repeatable_and_resumable(tmp_path):
    sampled = partial(run, FedProx(mu=0.1), data=ODD, client_fraction=0.5)
    whole = sampled()
    assert all(t.isfinite().all() for t in whole.weights.params.values())
    assert [own[2] for own in whole.personal] == [None] * 3 and whole.clients == ({},) * 5
    for turns in range(1, 7):  # two clients in each of three rounds
        assert_same(killed_and_resumed(sampled, tmp_path, turns), whole)


def test_the_network_is_left_as_it_was():
    net = network()
    before = Weights.of(net)
    run(FedProx(mu=0.1), net=net)
    assert same(Weights.of(net), before) and all(p.grad is None for p in net.parameters())


def test_it_is_registered_and_checks_its_hyperparameter():
    assert methods.get("FedProx", {"mu": 0.1}) == FedProx(mu=0.1) and FedProx().mu == 0.01
    with pytest.raises(ReglError, match="FedProx: mu"):
        FedProx(mu=-0.1)


MUTATIONS = (
    ("the term pushes away from x", "alpha=self.mu", "alpha=-self.mu"),
    ("the term is μ‖w − x‖²", "alpha=self.mu", "alpha=2 * self.mu"),
    ("the term is a constant", "alpha=self.mu", "alpha=0.01"),
    (
        "the term has no effect",
        "torch._foreach_add_(gradients,",
        "torch._foreach_add(gradients,",
    ),
    ("the term draws to the origin", "_foreach_sub(w, x)", "_foreach_sub(w, [0 * o for o in x])"),
    (
        "the term draws to where w is",
        "list(task.start.params.values())",
        "list(task.now.net.parameters())",
    ),
)
