"""DynaFed: by hand, against FedAvg and plain SGD, and what becomes of its state."""

import math
from dataclasses import replace
from functools import partial

import method_cases
import pytest
import torch
from method_cases import watched
from torch import nn
from toy_clients import client, network, same, same_state, settings

from regl_core import training
from regl_core.clients import ClientData
from regl_core.errors import ReglError
from regl_core.federation import federate
from regl_core.methods import FedAvg, dynafed
from regl_core.methods.dynafed import DynaFed, mismatch, soft_cross_entropy
from regl_core.methods.fedavg import weighted_mean
from regl_core.seeds import torch_generator
from regl_core.training import batches
from regl_core.weights import Weights

SMALL = {
    "trajectory": 3,
    "segment": 2,
    "averaged": 1,
    "images_per_class": 2,
    "inner_steps": 2,
    "iterations": 3,
    "server_epochs": 2,
}


run = partial(method_cases.run, rounds=4)


def small(**changes) -> DynaFed:
    return DynaFed(**(SMALL | changes))


def linear() -> nn.Linear:
    net = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(net.weight)
    return net


def sign(value: float) -> float:
    return math.copysign(1.0, value)


def test_two_rounds_of_two_clients_by_hand():
    """W = (w, −w). FedAvg's first round takes w from 0 to −1.25, see test_identities.

    One image per class, x₁ and x₂, with label shares (¾, ¼) and (¼, ¾): Y is ln 3 times one-hot.
    From w = 0 the loss ℓ, a mean over 2 images and 2 classes, has the gradient (x₂ − x₁)/16, so
    one step of rate α ends at u = α (x₁ − x₂)/16, and the mismatch is ((u + 1.25)/1.25)². It
    grows with u, as u > −1.25. u grows with x₁, falls with x₂, and grows with Y₁₀ if x₁ > 0, with
    Y₂₀ if x₂ > 0. Adam's first step is the learning rate, against the sign of the gradient.
    """
    two = [
        ClientData(torch.tensor([[2.0]]), torch.tensor([0])),
        ClientData(torch.tensor([[2.0], [4.0], [6.0]]), torch.tensor([1, 1, 1])),
    ]
    training = settings(
        rounds=2, local_epochs=1, rate=1.0, momentum=0.0, weight_decay=0.0, batch_size=100
    )
    method = DynaFed(
        trajectory=2,
        segment=1,
        averaged=1,
        images_per_class=1,
        label_scale=math.log(3),
        inner_steps=1,
        alpha=0.8,
        iterations=1,
        image_rate=0.03,
        label_rate=0.02,
        server_epochs=1,
        server_rate=0.01,
    )
    history = federate(method, linear(), two, two[1], training, seed=0)

    x1, x2 = torch.randn(2, generator=torch_generator(0, "synthetic images")).tolist()
    images = [x1 - 0.03, x2 + 0.03]
    labels = [
        [math.log(3) - 0.02 * sign(x1), 0.02 * sign(x1)],
        [-0.02 * sign(x2), math.log(3) + 0.02 * sign(x2)],
    ]
    synthetic = history.server.extra
    assert synthetic["images"].flatten().tolist() == pytest.approx(images, abs=1e-5)
    for row, expected in zip(synthetic["labels"].tolist(), labels, strict=True):
        assert row == pytest.approx(expected, abs=1e-5)

    # Adam's step from FedAvg's second mean: the gradient at w is the mean of (σ − p) x.
    mean = federate(FedAvg(), linear(), two, two[1], training, seed=0).weights.params["weight"]
    w = mean[0].item()
    gradient = sum(
        (1 / (1 + math.exp(-2 * w * x)) - 1 / (1 + math.exp(y[1] - y[0]))) * x
        for x, y in zip(images, labels, strict=True)
    )
    expected = [w - 0.01 * sign(gradient), -w + 0.01 * sign(gradient)]
    result = history.weights.params["weight"].flatten().tolist()
    assert result == pytest.approx(expected, abs=1e-6)


def test_the_mismatch_is_where_plain_sgd_ends():
    net = network()
    start, target = Weights.of(net), Weights.of(network(1))
    data = ClientData(client(6).images, torch.randn(6, 3, generator=torch_generator(1)))
    order = [torch.tensor([0, 1, 2, 3]), torch.tensor([4, 5]), torch.tensor([1, 5, 3])]
    value = mismatch(net, start, target, data, torch.tensor(0.3), order)
    assert same(Weights.of(net), start)  # the running statistics too

    optimizer = torch.optim.SGD(net.parameters(), lr=0.3)
    for index in order:
        optimizer.zero_grad()
        shares = data.labels[index].softmax(1)
        entropies = -(shares * net(data.images[index]).log_softmax(1))
        entropies.mean().backward()
        optimizer.step()
    end = Weights.of(net)

    def distance(one: Weights) -> float:
        return sum(
            (one.params[n] - goal).square().sum().item() for n, goal in target.params.items()
        )

    assert value.item() == pytest.approx(distance(end) / distance(start), rel=1e-5)


def test_the_gradient_goes_through_all_steps():
    """Against finite differences, by images, labels and rate, with BatchNorm."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)).double()
        start = Weights.of(net)
        target = Weights({n: p + torch.randn_like(p) for n, p in start.params.items()}, {})
        images, labels = torch.randn(5, 2).double(), torch.randn(5, 3).double()
    alpha = torch.tensor(0.5, dtype=torch.float64)
    inputs = [tensor.requires_grad_() for tensor in (images, labels, alpha)]
    order = [torch.tensor([0, 1, 2]), torch.tensor([3, 4]), torch.tensor([0, 2, 4])]

    def value(images, labels, alpha):
        return mismatch(net, start, target, ClientData(images, labels), alpha, order)

    assert torch.autograd.gradcheck(value, inputs)
    gradients = torch.autograd.grad(value(*inputs), inputs)
    assert all(one.abs().max() > 1e-6 for one in gradients)


def test_training_on_the_synthetic_set_repeats_the_trajectory():
    """From noise it leads nowhere near the next models, afterwards most of the way."""
    rates = {"alpha": 1.0, "alpha_rate": 0.01, "image_rate": 0.1, "label_rate": 0.1}
    method, distilled = watched(small(iterations=150, **rates), "_distilled")
    run(method, rounds=3, momentum=0.0)
    (models, _), synthetic = distilled[0].given, distilled[0].result
    found = ClientData(synthetic["images"], synthetic["labels"])
    noise = ClientData(torch.randn(found.images.shape), torch.zeros(found.labels.shape))
    before, after = (
        mismatch(network(), *models[:2], data, torch.tensor(1.0), [torch.arange(6)] * 2)
        for data in (noise, found)
    )
    assert before > 0.9 and after < 0.6


def test_the_first_global_models_are_recorded():
    method, distilled = watched(small(), "_distilled")
    fedavg, aggregated = watched(FedAvg(), "aggregate")
    shapes = {name: part.shape for name, part in run(method).server.extra.items()}
    assert shapes == {"images": (6, 3, 4, 4), "labels": (6, 3)}
    run(fedavg)
    ((models, now),) = (call.given for call in distilled)
    assert now.number == 1 and len(models) == 3
    for one, call in zip(models, aggregated, strict=False):
        assert same(one, Weights(call.given[0].weights.params, {}))


def test_a_target_is_a_mean_of_the_models_ahead():
    models = [Weights({"w": torch.tensor([10.0**number])}, {}) for number in range(6)]
    method = small(trajectory=6, segment=2, averaged=1)
    seen = {}
    for number in range(300):
        start, target = method._segment(models, 0, number)
        seen.setdefault(round(math.log10(start.params["w"].item())), set()).add(
            round(target.params["w"].item() / start.params["w"].item(), 3)
        )
    # One of the next two, or the mean of two drawn from them.
    assert seen == {number: {10.0, 55.0, 100.0} for number in range(4)}


def test_it_is_fedavg_until_the_trajectory_is_recorded_and_in_running_statistics_always():
    method, aggregated = watched(small(), "aggregate")
    run(method)
    after = []
    for call in aggregated:
        plain = call.given[0].weights | weighted_mean(call.given[1])
        after.append(same(call.result.weights, plain))
        assert same(Weights({}, call.result.weights.buffers), Weights({}, plain.buffers))
    assert after == [True, True, False, False]


def test_the_synthetic_set_is_never_augmented():
    """Where images of clients are, the server does the same as where none are."""

    method, aggregated = watched(small(), "aggregate")
    views = run(method, augmentation="crop_flip").weights
    for call in aggregated:
        server, updates, now = call.given
        plain = now.training.model_copy(update={"augmentation": "none"})
        expected = small().aggregate(server, updates, replace(now, training=plain))
        assert same(call.then.weights, expected.weights)
        assert same_state(call.then.extra, expected.extra)
    assert not same(views, run(small()).weights)


def test_batchnorm_uses_the_batch_while_distilling(monkeypatch):
    modes = []

    def moded(net, *rest):
        modes.append(net.training)
        return mismatch(net, *rest)

    monkeypatch.setattr(dynafed, "mismatch", moded)
    run(small())
    assert modes and all(modes)


def test_every_pass_over_the_synthetic_set_has_an_order_of_its_own(monkeypatch):
    """Of the inner steps, every iteration anew; of the server's, every epoch of every round."""
    drawn = []

    def told(data, size, seed, *what):
        drawn.append(what)
        return batches(data, size, seed, *what)

    monkeypatch.setattr(dynafed, "batches", told)
    monkeypatch.setattr(training, "batches", told)  # of the server's epochs, and the clients'
    run(small(inner_batch=2, server_epochs=3, server_batch=2))
    drawn = [what for what in drawn if what[0] in ("inner batches", "synthetic batches")]
    assert len(set(drawn)) == len(drawn) == 3 + 6


def test_the_soft_loss_by_hand():
    """Two images, two classes, logits 0: every log-softmax is −ln 2, every pair of shares sums
    to 1, and the mean is over all four entries."""
    images, labels = torch.zeros(2, 2), torch.tensor([[0.0, 0.0], [5.0, -3.0]])
    value = soft_cross_entropy(nn.Identity(), images, labels).item()
    assert value == pytest.approx(math.log(2) / 2, abs=1e-6)


def test_segments_that_do_not_fit_are_refused():
    for wrong in ({"segment": 3}, {"averaged": 3}):
        with pytest.raises(ReglError, match="averaged ≤ segment < trajectory"):
            small(**wrong)


def test_a_distillation_too_large_for_the_gpu_says_what_to_lower(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(dynafed, "mismatch", full)
    with pytest.raises(ReglError, match=r"2 unrolled steps of \d+ images; lower its inner_batch"):
        run(small())


def test_a_distillation_that_diverges_is_an_error():
    with pytest.raises(ReglError, match=r"diverged.*alpha"):
        run(small(alpha=1e30))


MUTATIONS = (
    ("SGD goes uphill on the synthetic set", "p - alpha * g", "p + alpha * g"),
    ("gradient through the last step only", "create_graph=True)", "create_graph=False)"),
    ("the distance is not normalised", "return far / whole", "return far"),
    ("the target is the start", "models[start + one]", "models[start]"),
    (
        "running statistics of synthetic images",
        "weights | Weights(Weights.of(now.net).to(place).params, {})",
        "Weights.of(now.net)",
    ),
    (
        "the server's weights are those of the live network",
        "Weights(Weights.of(now.net).to(place).params, {})",
        "Weights(dict(now.net.named_parameters()), {})",
    ),
    ("the synthetic set is augmented", ', "augmentation": "none"}', "}"),
    ("distilled with running statistics", "now.net.train()\n", "now.net.eval()\n"),
    (
        "the server's epochs of every round in the order of the first",
        '"synthetic batches", now.number',
        '"synthetic batches", 0',
    ),
    (
        "every iteration sees the same images",
        '"inner batches", number, again',
        '"inner batches", 0, again',
    ),
    ("the loss is not a mean over classes", ".softmax(1)) / labels.shape[1]", ".softmax(1))"),
    ("the labels are not learnt", "self.image_rate, self.label_rate,", "self.image_rate, 0.0,"),
    ("the initial model is not recorded", "{_model(0): _params(weights)}", "{}"),
    ("the mean is not what is trained", "weights.into(now.net)", "pass"),
    (
        "the inner steps move the running statistics",
        "{name: buffer.clone() for name, buffer in net.named_buffers()}",
        "dict(net.named_buffers())",
    ),
)
