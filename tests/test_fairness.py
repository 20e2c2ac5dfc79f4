"""Fair by construction: what every row of a column has in common."""

import pytest
import torch
from torch import nn
from toy_clients import clients, network, settings

from regl_core import federation, methods, training
from regl_core.federation import federate
from regl_core.methods.base import Method
from regl_core.models import build
from regl_core.weights import Weights

DATA = clients(6, 11, 4)
SMALL = {  # hyper-parameters that make a method cheap, or fit it to three rounds
    "DynaFed": {"trajectory": 3, "segment": 2, "iterations": 1, "images_per_class": 1},
    "pFedGate": {"gate_side": 4},
}
EVERY = sorted(methods.known())


def built(name: str) -> Method:
    return methods.get(name, SMALL.get(name, {}))


def small_resnet() -> nn.Module:
    return build("resnet_small", classes=3, width=8, side=16, seed=0)


def larger(data):
    """The same clients with images large enough for a residual network."""
    return [
        training.ClientData(nn.functional.interpolate(d.images, size=16), d.labels) for d in data
    ]


class Seen:
    """Records the batches that clients train on, by the path they are drawn from."""

    def __init__(self, monkeypatch) -> None:
        self.orders: dict[tuple, list[list[int]]] = {}
        real = training.batches

        def batches(data, size, *path):
            order = real(data, size, *path)
            if path[1] == "batches":
                self.orders[path] = [index.tolist() for index in order]
            return order

        monkeypatch.setattr(training, "batches", batches)


@pytest.mark.parametrize("name", EVERY)
def test_every_method_trains_on_the_same_batches_for_as_many_epochs(name, monkeypatch):
    data, net = larger(DATA), small_resnet()
    seen = {}
    for one in ("FedAvg", name):
        with monkeypatch.context() as patched:
            record = Seen(patched)
            federate(built(one), net, data, data[0], settings(client_fraction=0.7), seed=5)
            seen[one] = record.orders
    assert seen[name] == seen["FedAvg"]
    # Two of three clients, three rounds, two epochs.
    assert len(seen["FedAvg"]) == 2 * 3 * 2


@pytest.mark.parametrize("name", EVERY)
def test_every_method_starts_from_the_same_model(name):
    net = small_resnet()
    before = Weights.of(net)
    own = Weights.of(built(name).network(small_resnet(), 5)).params
    # A method may build around the network, and MOON replaces its last layer.
    first = min((full for full in own if full.endswith("conv1.weight")), key=len)
    prefix = first.removesuffix("conv1.weight")
    for key in before.params:
        if name != "MOON" or not key.startswith("fc."):
            assert torch.equal(before.params[key], own[prefix + key])


@pytest.mark.parametrize("name", EVERY)
def test_every_method_is_evaluated_by_the_same_loop(name, monkeypatch):
    calls = []
    real = federation.evaluate

    def evaluate(net, data, precision, size=512):
        assert precision == "float32" and size == 512
        calls.append(len(data))
        return real(net, data, precision, size)

    monkeypatch.setattr(federation, "evaluate", evaluate)
    data = larger(DATA)
    federate(built(name), small_resnet(), data, data[1], settings(), seed=0, personal=data)
    # After each of three rounds: the global model, then each client's own.
    assert calls == [11, 6, 11, 4] * 3


@pytest.mark.parametrize("name", EVERY)
def test_no_method_changes_the_network_it_was_given(name):
    net = small_resnet()
    before = Weights.of(net)
    data = larger(DATA)
    federate(built(name), net, data, data[0], settings(rounds=3), seed=0)
    after = Weights.of(net)
    assert all(torch.equal(before.params[key], after.params[key]) for key in before.params)
    assert all(torch.equal(before.buffers[key], after.buffers[key]) for key in before.buffers)
    assert network().training and net.training
