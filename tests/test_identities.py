"""Exact algebra: FedAvg, Centralized and ReGL against local SGD, by hand and each other."""

import pytest
import torch
import torch.nn.functional as F
from toy_clients import client, clients, network, same, settings

from regl_core import methods
from regl_core.evidence.identities import (
    BITWISE,
    IDENTITIES,
    SINGLE,
    deviations,
    gap,
    small_network,
)
from regl_core.federation import federate
from regl_core.methods import FedAvg, Method
from regl_core.seeds import torch_generator
from regl_core.weights import Weights, mean

TEST = client(12, seed=99)


def whole_batch(**changes):
    """One step per client and round, so that the order of images cannot matter."""
    return settings(batch_size=100, local_epochs=1, momentum=0.0, **changes)


def test_one_client_and_one_round_is_local_sgd():
    data, training, net = client(10), settings(rounds=1), network()
    history = federate(FedAvg(), net, [data], TEST, training, seed=3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    for epoch in range(2):
        order = torch.randperm(10, generator=torch_generator(3, "batches", 0, 0, epoch))
        for index in order.split(4):
            optimizer.zero_grad()
            F.cross_entropy(net(data.images[index]), data.labels[index]).backward()
            optimizer.step()
    assert same(history.weights, Weights.of(net))


def test_the_order_of_clients_never_matters():
    data = clients(5, 9, 3)
    one = federate(FedAvg(), network(), data, TEST, whole_batch(), seed=0)
    other = federate(FedAvg(), network(), data[::-1], TEST, whole_batch(), seed=0)
    assert gap(one.weights, other.weights) < 1e-6


def test_identical_clients_are_one_client():
    data = client(6)
    one = federate(FedAvg(), network(), [data], TEST, whole_batch(), seed=0)
    three = federate(FedAvg(), network(), [data] * 3, TEST, whole_batch(), seed=0)
    assert gap(one.weights, three.weights) < 1e-6
    trained = Weights.of(network())
    assert same(mean([trained] * 3, [1 / 3] * 3), trained)


# What is FedAvg on the same clients, and why.
PLAIN = {
    "FedAvg": "itself",
    "Centralized": "its one client holds the images of all",
    "ReGL (TF)": "its clients hold synthetic images besides",
    "ReGL (FT)": "its clients hold synthetic images besides",
    "FedAvg (same steps)": "its clients hold their own images several times",
    "FedAvg (fine-tuned)": "what comes after is no part of the federation",
}
# DynaFed acts from the round that ends the trajectory on: here in the last one.
QUICK = {"DynaFed": {"trajectory": 3, "segment": 2, "inner_steps": 2, "iterations": 2}}


def models_of(method: Method) -> list[Weights]:
    """What each client would start from after three rounds; the global model in most methods."""
    data, training = clients(5, 9, 0, 3), settings(momentum=0.0)
    history = federate(method, small_network(), data, TEST, training, seed=0)
    return [
        method.start(method.answer(history.server, number), state)
        for number, state in enumerate(history.clients)
        if len(data[number])
    ]


@pytest.mark.parametrize("name", methods.known())
def test_a_method_does_something(name):
    """Beside FedAvg on its own network its parameters differ, by more than rounding."""
    method = methods.get(name, QUICK.get(name, {}))

    class Plain(FedAvg):
        name = "plain"

        def network(self, net, seed):
            return method.network(net, seed)

    pairs = list(zip(models_of(method), models_of(Plain()), strict=True))
    if name in PLAIN:
        assert all(same(own, plain) for own, plain in pairs)
    else:
        apart = [gap(Weights(a.params, {}), Weights(b.params, {})) for a, b in pairs]
        assert max(apart) > 100 * SINGLE


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda one: f"{one.method}: {one.statement}")
def test_an_identity_holds(identity):
    assert identity.bound in (BITWISE, SINGLE)
    assert identity.deviation() <= identity.bound


def test_the_table_of_identities_shows_what_was_measured():
    rows = deviations(IDENTITIES[:2])
    assert list(rows.columns) == ["method", "identity", "deviation", "bound"]
    assert (rows["deviation"] <= rows["bound"]).all()
