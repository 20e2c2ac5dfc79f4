"""MOON: by hand, against FedAvg on the same network, and where other implementations go wrong."""

import copy
import math

import pytest
import torch
from method_cases import ONE_STEP, TEST, given, run, watched
from torch import nn
from toy_clients import network, same, settings

from regl_core.clients import ClientData
from regl_core.errors import ReglError
from regl_core.federation import federate
from regl_core.methods import FedAvg, Round, Server, Task
from regl_core.methods.moon import Moon, Projected
from regl_core.models import build
from regl_core.weights import Weights


class Plain(FedAvg):
    """FedAvg on the network with MOON's projection head."""

    name = "plain"
    network = Moon.network
    projection_size: int = 256


def by_hand(first: float, second: float) -> Projected:
    """x → z = (first · x, second · x) → logits, at first both zero."""
    net = Projected(nn.Flatten(), nn.Linear(1, 2, bias=False), nn.Linear(2, 2, bias=False))
    nn.init.zeros_(net.fc.weight)
    with torch.no_grad():
        net.projection.weight.copy_(torch.tensor([[first], [second]]))
    return net


def pixel(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(-1, 1, 1, 1)


def task(net: nn.Module, previous: Weights) -> Task:
    start = Weights.of(net)
    now = Round(1, 0, net, settings(), 2, (3, 4, 4))
    return Task(now, 0, 2, Server(start, {}), {"previous": previous}, start)


def test_one_round_of_two_clients_by_hand():
    """Start at z = (x, 0), which is z_glob too; both clients' last model gave z_prev = (0, x).

    cos(z, z_glob) = 1 with gradient 0. cos(z, z_prev) = 0, and moving z's second weight by ε
    moves it by ε. So with τ = 1 that weight has the gradient μ e⁰/(e¹ + e⁰), for any x > 0.
    The logits are 0, hence z gets no gradient from CE, and row k of the classifier (½ − [y = k]) z.
    """

    class Given(Moon):
        name = "given"

        def network(self, net, seed):
            return net

        def client_state(self, weights):
            return {"previous": Weights.of(by_hand(0.0, 1.0))}

    two = [
        ClientData(pixel(3.0), torch.tensor([0])),  # classifier: + 0.1 · ½ · 3 for class 0
        ClientData(pixel(1.0, 2.0, 3.0), torch.tensor([1, 1, 1])),  # − 0.1 · ½ · 2
    ]
    one_step = settings(**ONE_STEP)
    weights = federate(
        Given(mu=2.0, temperature=1.0), by_hand(1.0, 0.0), two, two[0], one_step, seed=0
    ).weights.params
    push = 0.1 * 2 / (math.e + 1)  # away from the last model
    assert weights["projection.weight"].flatten().tolist() == pytest.approx([1.0, -push], abs=1e-6)
    class_0 = 0.25 * 0.15 - 0.75 * 0.10
    expected = [class_0, 0.0, -class_0, 0.0]
    assert weights["fc.weight"].flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_the_loss_and_its_gradient_by_hand():
    """z = (1, 0), z_glob = (0, 1), z_prev = (0, −1): both cosines 0, so the term is ln 2.

    Its gradient at the second weight is ½/τ · (∂cos_prev − ∂cos_glob) = ½ · 2 · (−1 − 1) = −2.
    """
    net = by_hand(1.0, 0.0)
    frozen = [by_hand(0.0, 1.0), by_hand(0.0, -1.0)]
    value = Moon(mu=3.0, temperature=0.5).loss(net, pixel(1.0), torch.tensor([0]), frozen)
    value.backward()
    assert value.item() == pytest.approx(math.log(2) * (1 + 3), abs=1e-6)
    assert net.projection.weight.grad.flatten().tolist() == pytest.approx([0.0, -6.0], abs=1e-5)
    assert all(p.grad is None for other in frozen for p in other.parameters())
    # At other cosines the temperature shows: z_glob = (1, 0), z_prev = (0, 1), e^{1/τ} = e².
    frozen = [by_hand(1.0, 0.0), by_hand(0.0, 1.0)]
    value = Moon(mu=1.0, temperature=0.5).loss(net, pixel(1.0), torch.tensor([0]), frozen)
    assert value.item() == pytest.approx(math.log(2) + math.log(1 + math.exp(-2)), abs=1e-6)


def test_without_its_term_it_is_fedavg_on_the_same_network():
    moon, plain = run(Moon(mu=0.0)), run(Plain())
    assert same(moon.weights, plain.weights) and moon.accuracy == plain.accuracy


def test_the_first_round_is_fedavgs_and_the_second_is_not():
    for rounds, alike in ((1, True), (2, False)):
        moon, plain = (run(m, rounds=rounds) for m in (Moon(mu=1.0), Plain()))
        assert same(moon.weights, plain.weights) == alike


@pytest.mark.parametrize(("name", "width", "side"), [("resnet_small", 8, 16), ("resnet34", 64, 33)])
def test_the_projection_head_stands_before_the_classifier(name, width, side):
    plain = build(name, 7, width, side, seed=0).eval()
    features = plain.fc.in_features
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    net = Moon().network(copy.deepcopy(plain), seed=0)
    with torch.no_grad():
        assert net.project(images).shape == (2, 256) and net(images).shape == (2, 7)
        # What enters the projection is what entered `fc`.
        assert torch.equal(plain.fc(net.body(images)), plain(images))
    first, between, second = net.projection
    assert isinstance(between, nn.ReLU)
    assert (first.in_features, first.out_features) == (features, features)
    assert (second.in_features, second.out_features) == (features, 256)
    assert (net.fc.in_features, net.fc.out_features) == (256, 7)
    assert sum("fc" in parameter for parameter, _ in net.named_parameters()) == 2


def test_the_head_is_drawn_from_the_seed_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = Weights.of(Moon().network(network(), seed=0))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    assert same(one, Weights.of(Moon().network(network(), seed=0)))
    other = Weights.of(Moon().network(network(), seed=1))
    for name in ("projection.0.weight", "projection.2.weight", "fc.weight"):
        assert not torch.equal(one.params[name], other.params[name])
    assert torch.equal(one.params["body.0.weight"], other.params["body.0.weight"])


def test_a_network_without_features_is_refused():
    for net in (nn.Linear(4, 3), nn.Conv2d(3, 3, 1)):
        with pytest.raises(ReglError, match=r"MOON.*last linear layer"):
            Moon().network(net, seed=0)


def test_the_other_networks_are_frozen_and_in_eval_mode():
    net = Moon().network(network(), seed=0)
    before = Weights.of(net)
    last = Weights.of(Moon().network(network(1), seed=1))
    net.train()
    frozen = Moon().prepare(task(net, last))
    Moon().loss(net, TEST.images, TEST.labels, frozen).backward()
    for other, weights in zip(frozen, (before, last), strict=True):
        assert not any(module.training for module in other.modules())
        assert not any(p.requires_grad for p in other.parameters())
        assert same(Weights.of(other), weights)  # the running statistics too
    assert net.training and all(p.grad is not None for p in net.parameters())
    assert not same(Weights.of(net), before)  # its own running statistics move


def test_the_previous_model_is_the_clients_own_last_result():
    method, finished = watched(Moon(), "finish")
    history = run(method, rounds=3, client_fraction=0.3)
    last = {task.client: (task.now.number, trained) for task, trained, _ in map(given, finished)}
    assert {number for number, _ in last.values()} != {2}  # some were not selected last
    for number, state in enumerate(history.clients):
        if number in last:
            assert same(state["previous"], last[number][1])
        else:
            assert state == {}
    assert history.clients[2] == {}  # no image, never selected


MUTATIONS = (
    (
        "pulled to the previous model, pushed from the global one",
        "for net in frozen]",
        "for net in reversed(frozen)]",
    ),
    ("frozen networks in training mode", ".eval().requires_grad_(False)", ".requires_grad_(False)"),
    (
        "the term is detached from z",
        "self._contrast(z, images",
        "self._contrast(z.detach(), images",
    ),
    ("no temperature", "near / self.temperature", "near"),
    (
        "the round's start in place of the client's last result",
        '{"previous": trained}',
        '{"previous": task.start}',
    ),
    (
        "global and previous networks are the same",
        '(task.start, task.state["previous"])',
        "(task.start, task.start)",
    ),
    ("no nonlinearity in the projection head", "nn.ReLU()", "nn.Identity()"),
    (
        "projection head from the global generator",
        'torch.default_generator.manual_seed(derive(seed, "projection"))',
        "pass",
    ),
)
