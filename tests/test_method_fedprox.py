"""FedProx against FedAvg, against numbers by hand and against its term in the loss."""

import pytest
from method_cases import run
from toy_clients import same

from regl_core.evidence.identities import gap
from regl_core.evidence.quadratic import Client, Quadratic, trajectory
from regl_core.methods import FedAvg
from regl_core.methods.fedprox import FedProx


def test_at_zero_it_is_fedavg_bit_for_bit():
    prox, avg = run(FedProx(mu=0.0)), run(FedAvg())
    assert same(prox.weights, avg.weights) and prox.personal == avg.personal


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


MUTATIONS = (
    ("the term pushes away from x", "alpha=self.mu", "alpha=-self.mu"),
    ("the term is μ‖w − x‖²", "alpha=self.mu", "alpha=2 * self.mu"),
    ("the term is a constant", "alpha=self.mu", "alpha=0.01"),
    ("the term has no effect", "torch._foreach_add_(gradients,", "torch._foreach_add(gradients,"),
    ("the term draws to the origin", "_foreach_sub(w, x)", "_foreach_sub(w, [0 * o for o in x])"),
    (
        "the term draws to where w is",
        "list(task.start.params.values())",
        "list(task.now.net.parameters())",
    ),
)
