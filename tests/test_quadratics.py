"""Where each method ends on quadratics, run by `federate`, against closed forms."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from regl_core import methods
from regl_core.evidence.quadratic import (
    CURVATURES,
    LIMITS,
    STEPS,
    Bowl,
    Client,
    Quadratic,
    trajectory,
)
from regl_core.methods import FedAvg
from regl_core.methods.fednova import FedNova
from regl_core.methods.fedopt import FedOpt
from regl_core.methods.fedprox import FedProx
from regl_core.methods.scaffold import Scaffold

# One coordinate of CURVATURES, (h, b) = (1, 0) and (10, 1), with shorter steps and more of them.
ONE = Quadratic((Client((1.0,), (0.0,)), Client((10.0,), (1.0,))), (3.0,), rate=0.02, epochs=10)
# One curvature, one step against three, and rates high enough to be there in a few rounds.
FAST = replace(STEPS, clients=(STEPS.clients[0], replace(STEPS.clients[1], count=3)), rate=0.2)


def end(method, problem, rounds, **changes):
    return trajectory(method, problem, rounds, **changes)[-1]


def near(first, second, within=1e-6):
    return (first - second).abs().max().item() < within


def test_the_networks_cross_entropy_is_the_quadratic():
    net = Bowl((3.0, -2.0))
    data = Client((1.0, 10.0), (0.5, 1.0)).data()
    loss = F.cross_entropy(net(data.images), data.labels)
    loss.backward()
    assert loss.item() - 1 == pytest.approx(0.5 * (1 * 2.5**2 + 10 * 3**2))
    assert net.w.grad.tolist() == pytest.approx([1 * 2.5, 10 * -3])
    far = Bowl((1e3, 1e3))
    F.cross_entropy(far(data.images), data.labels).backward()
    assert far.w.grad.tolist() == pytest.approx([999.5, 9990.0])
    at = Bowl((0.5, 1.0))
    F.cross_entropy(at(data.images), data.labels).backward()
    assert at.w.grad.tolist() == pytest.approx([0, 0], abs=1e-12)


def test_closed_forms_by_hand():
    """Ten steps of rate 0.02 close 1 − 0.98¹⁰ and 1 − 0.8¹⁰ of the ways to 0 and 1."""
    assert ONE.optimum().item() == ONE.uniform_optimum().item() == pytest.approx(10 / 11)
    s = 1 - 0.98**10, 1 - 0.8**10
    assert ONE.fedavg_limit().item() == pytest.approx(s[1] / (s[0] + s[1]))
    assert ONE.fedavg_limit().item() == pytest.approx(0.830, abs=5e-4)
    assert FAST.steps().flatten().tolist() == [1, 3]
    assert FAST.shares().flatten().tolist() == [0.25, 0.75]
    assert FAST.optimum().tolist() == [0.75, 0.25]
    assert FAST.uniform_optimum().tolist() == [0.5, 0.5]
    # s = 0.2 and 1 − 0.8³ = 0.488; FedNova takes a third of the latter.
    pull = 0.25 * 0.2, 0.75 * 0.488
    assert FAST.fedavg_limit()[0].item() == pytest.approx(pull[1] / sum(pull))
    assert FAST.fednova_limit()[0].item() == pytest.approx(pull[1] / 3 / (pull[0] + pull[1] / 3))


def test_the_trajectory_is_of_every_round():
    """Affine: each round leaves the share 1 − Σ p_i s_i of the distance to where it ends."""
    path = trajectory(FedAvg(), FAST, rounds=4)
    assert path.shape == (5, 2) and path[0].tolist() == [3.0, 2.0]
    distance = path - FAST.fedavg_limit()
    assert torch.allclose(distance[1:] / distance[:-1], torch.tensor(1 - 0.05 - 0.366).double())


@pytest.mark.parametrize("problem", [CURVATURES, FAST])
@pytest.mark.parametrize("mu", [0.0, 0.1, 2.0])
def test_fedavg_and_fedprox_end_at_their_fixed_points_short_of_the_optimum(problem, mu):
    method = FedProx(mu=mu) if mu else FedAvg()
    assert near(end(method, problem, 55), problem.fedavg_limit(mu))
    assert not near(problem.fedavg_limit(mu), problem.optimum(), 0.05)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_scaffold_reaches_the_optimum_of_the_uniform_mean_of_losses(momentum):
    for problem in (CURVATURES, FAST):
        reached = end(Scaffold(), problem, 40, momentum=momentum)
        assert near(reached, problem.uniform_optimum())
    assert near(CURVATURES.uniform_optimum(), CURVATURES.optimum(), 1e-12)


def test_scaffold_reaches_the_optimum_with_half_of_the_clients_at_a_time():
    assert near(end(Scaffold(), CURVATURES, 80, client_fraction=0.5), CURVATURES.optimum())


def test_fednova_ends_at_its_fixed_point_with_equal_steps_that_of_fedavg():
    for problem in (CURVATURES, FAST):
        assert near(end(FedNova(), problem, 30), problem.fednova_limit())
    assert near(CURVATURES.fednova_limit(), CURVATURES.fedavg_limit(), 1e-12)


def test_fednova_nears_the_optimum_of_unequal_steps_as_the_rate_falls_and_fedavg_does_not():
    """FedNova's distance is proportional to the rate, FedAvg's tends to that of Σ p_i K_i f_i."""
    rates = (0.02, 0.01, 0.005)
    problems = [replace(STEPS, rate=rate) for rate in rates]
    nova = [(p.fednova_limit() - p.optimum()).norm().item() for p in problems]
    assert nova[0] / nova[1] == pytest.approx(2, abs=0.05)
    assert nova[1] / nova[2] == pytest.approx(2, abs=0.03)
    # p = (1/5, 4/5) and K = (1, 4): FedAvg weighs the clients 1 : 16.
    tilted = torch.tensor([16 / 17, 1 / 17], dtype=torch.float64)
    assert near(replace(STEPS, rate=1e-6).fedavg_limit(), tilted, 1e-5)
    assert near(replace(STEPS, rate=1e-6).fednova_limit(), STEPS.optimum(), 1e-5)
    assert near(end(FedNova(), problems[0], 150), STEPS.optimum(), 0.006)
    assert not near(end(FedAvg(), problems[0], 150), STEPS.optimum(), 0.13)


def test_fednova_is_right_exactly_where_each_step_closes_the_same_share():
    """s_i/(K_i h_i) is equal: two steps of ηh = 0.54 against three of ηh = 0.3.

    (1 − 0.46²)/(2 · 0.54) = 0.73 = (1 − 0.7³)/(3 · 0.3).
    """
    two = (Client((5.4,), (0.0,), count=2), Client((3.0,), (1.0,), count=3))
    problem = Quadratic(two, start=(3.0,), rate=0.1, epochs=1)
    # p h = 0.4 · 5.4 and 0.6 · 3
    assert problem.optimum().item() == pytest.approx(1.8 / 3.96)
    assert near(end(FedNova(), problem, 40), problem.optimum())
    assert not near(end(FedAvg(), problem, 30), problem.optimum(), 0.05)


@pytest.mark.parametrize(
    "method",
    [
        FedOpt(variant="SGD", server_rate=0.5),
        FedOpt(variant="FedAdagrad", server_rate=0.5, beta1=0.0, tau=0.1),
        FedOpt(variant="FedAdam", beta1=0.0, beta2=0.9, tau=0.1),
        FedOpt(variant="FedYogi", beta1=0.0, beta2=0.9, tau=0.1),
    ],
    ids=lambda method: method.variant,
)
def test_fedopt_ends_where_fedavg_does(method):
    """Where the mean change is zero, however the server steps."""
    assert near(end(method, FAST, 100), FAST.fedavg_limit(), 1e-3)


@pytest.mark.parametrize("problem", [CURVATURES, FAST])
@pytest.mark.parametrize("name", LIMITS)
def test_by_default_a_method_ends_where_the_notebook_says(name, problem):
    """Adam with momentum swings for long; the others are there soon."""
    method, rounds = methods.get(name, {}), 300 if name == "FedOpt" else 60
    assert near(end(method, problem, rounds), LIMITS[name](problem, method))
