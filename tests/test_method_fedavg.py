"""FedAvg, from which most methods inherit: by hand, and what does not matter to it."""

from itertools import permutations

import pytest
import torch
from method_cases import ONE_STEP, given, run, watched
from torch import nn
from toy_clients import clients, network, same, settings

from regl_core.clients import ClientData
from regl_core.federation import federate
from regl_core.methods import FedAvg, Round, Server, Update
from regl_core.methods.fedavg import weighted_mean
from regl_core.weights import Weights, mean


def update(value: float, count: int) -> Update:
    """One weight and one running mean, both `value`."""
    return Update(Weights({"w": torch.tensor([value])}, {"mean": torch.tensor([value])}), count, {})


def test_the_mean_by_hand():
    """(1·2 + 3·6)/4 = 5, of parameters and buffers alike; what nobody sent stays."""
    before = Weights(
        {"w": torch.zeros(1), "kept": torch.ones(1)}, {"mean": torch.zeros(1), "var": torch.ones(1)}
    )
    now = Round(0, 2, settings(), 0, network(), (3, 4, 4))
    after = FedAvg().aggregate(Server(before, {}), {0: update(2.0, 1), 1: update(6.0, 3)}, now)
    values = {**after.weights.params, **after.weights.buffers}
    assert {n: t.item() for n, t in values.items()} == {"w": 5, "kept": 1, "mean": 5, "var": 1}


def test_one_round_of_two_clients_by_hand():
    """Logits 0 on one-dimensional images: each step is rate · ½ · x for one class."""
    net = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(net.weight)
    two = [
        ClientData(torch.tensor([[1.0]]), torch.tensor([0])),
        ClientData(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1, 1, 1])),
    ]
    once = settings(**ONE_STEP)
    weights = federate(FedAvg(), net, two, two[0], once, seed=0).weights.params["weight"]
    # 1/4 · 0.1 · ½ · 1 for class 0 by the first client, − 3/4 · 0.1 · ½ · 2 by the second.
    assert weights.flatten().tolist() == pytest.approx([-0.0625, 0.0625], abs=1e-7)


def test_the_order_of_arrival_never_matters():
    """Bit for bit, where 1 is lost beside 1e20 or not: (1e20 + 1) − 1e20, (1e20 − 1e20) + 1."""
    sent = {number: update(value, 1) for number, value in enumerate((1e20, 1.0, -1e20))}
    first = weighted_mean(sent)
    for order in permutations(sent):
        assert same(weighted_mean({number: sent[number] for number in order}), first)


def test_integer_buffers_never_pass_through_a_float():
    large = 2**60 + 1
    several = [Weights({}, {"batches": torch.tensor(count)}) for count in (large, large - 5)]
    assert mean(several, [0.5, 0.5]).buffers["batches"].item() == large


def test_the_count_is_that_of_the_images():
    method, aggregated = watched(FedAvg(), "aggregate")
    run(method, clients(5, 0, 9), rounds=1)
    ((_, updates, _),) = map(given, aggregated)
    assert {client: update.count for client, update in updates.items()} == {0: 5, 2: 9}


MUTATIONS = (
    ("clients count alike", "[update.count / total for update", "[1 / len(ordered) for update"),
    ("in order of arrival", "for client in sorted(updates)]", "for client in updates]"),
    ("images are not counted", "Update(trained, task.count, {})", "Update(trained, 1, {})"),
    (
        "the server keeps its weights",
        "server.weights | weighted_mean(updates)",
        "weighted_mean(updates) | server.weights",
    ),
)
