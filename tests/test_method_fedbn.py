"""FedBN: all is averaged but BatchNorm, whatever its name."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from toy_clients import (
    assert_own_models,
    assert_same,
    client,
    clients,
    killed_and_resumed,
    network,
    same,
    settings,
    tiny_clients,
)

from regl_core.clients import ClientData
from regl_core.evidence.identities import gap
from regl_core.federation import federate, select
from regl_core.methods.fedavg import FedAvg
from regl_core.methods.fedbn import FedBN, norm_layers
from regl_core.models import build
from regl_core.training import Phase, evaluate, local_sgd
from regl_core.weights import Weights, mean

TEST = client(12, seed=99)
DATA = clients(5, 9, 0, 3)
SPLITS = [client(7, seed=40 + number) for number in range(4)]
NORM = {"1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"}


def run(method=None, data=DATA, net=None, checkpoint=None, tick=lambda fraction: None, **changes):
    return federate(
        method or FedBN(),
        net or network(),
        data,
        TEST,
        settings(**changes),
        0,
        tick,
        checkpoint,
        personal=SPLITS[: len(data)],
    )


def names(weights):
    return weights.params.keys() | weights.buffers.keys()


def tensors(weights):
    return {**weights.params, **weights.buffers}


class Watched(FedBN):
    """Saves what crosses from and to the clients."""

    name = "watched"

    def start(self, received, state):
        started.append((state, super().start(received, state)))
        return started[-1][1]

    def aggregate(self, server, updates, now):
        sent.extend(updates.values())
        return super().aggregate(server, updates, now)


sent, started = [], []


def test_without_batchnorm_it_is_fedavg():
    bare, fedavg = (run(method, net=network(norm=False)) for method in (FedBN(), FedAvg()))
    assert same(bare.weights, fedavg.weights)
    assert bare.accuracy == fedavg.accuracy and bare.personal == fedavg.personal


def test_with_batchnorm_it_is_not_fedavg():
    history, fedavg = run(), run(FedAvg())
    assert not torch.equal(history.weights.params["0.weight"], fedavg.weights.params["0.weight"])


@pytest.mark.parametrize("fraction", [1.0, 0.6])
def test_all_rounds_by_hand(fraction):
    """Each client's own network: loaded with the mean but for its BatchNorm, then trained."""
    training = settings(client_fraction=fraction)
    history = run(client_fraction=fraction)
    shared = Weights.of(network()).select(lambda name: name not in NORM)
    nets = {number: network() for number in (0, 1, 3)}
    for turn in range(3):
        chosen = select([0, 1, 3], fraction, 0, turn)
        for number in chosen:
            path = (0, "batches", number, turn)
            local_sgd(nets[number], DATA[number], training, path, [Phase(2)])
        counts = [len(DATA[number]) for number in chosen]
        trained = [Weights.of(nets[n]).select(lambda name: name not in NORM) for n in chosen]
        shared = mean(trained, [count / sum(counts) for count in counts])
        for number, net in nets.items():
            (Weights.of(net) | shared).into(net)
            assert history.personal[turn][number] == evaluate(net, SPLITS[number])
    assert same(history.weights.select(lambda name: name not in NORM), shared)
    for number, net in nets.items():
        own = Weights.of(net).select(lambda name: name in NORM)
        kept = history.clients[number].get("norm", own)  # a client never selected keeps nothing
        assert same(kept, own)


def test_one_round_of_two_normalised_clients_by_hand():
    """BatchNorm, then W = 0: both classes have p = 1/2, and BatchNorm's own gradient is 0."""
    net = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 2, bias=False))
    nn.init.zeros_(net[1].weight)
    two = [
        ClientData(torch.tensor([[0.0], [2.0]]), torch.tensor([0, 1])),  # mean 1, variance 1, 2
        ClientData(torch.tensor([[3.0], [9.0]] * 3), torch.tensor([1, 0] * 3)),  # 6, 9, 10.8
    ]
    training = settings(
        rounds=1, local_epochs=1, batch_size=9, rate=1.0, momentum=0.0, weight_decay=0.0
    )
    history = federate(FedBN(), net, two, two[0], training, seed=0)
    # Normalised x is ∓1/√(1 + ε/variance); row 0 moves by the mean of ([y = 0] − 1/2) x = ∓x/2.
    steps = [-0.5 / math.sqrt(1 + 1e-5), 0.5 / math.sqrt(1 + 1e-5 / 9)]
    row = 2 / 8 * steps[0] + 6 / 8 * steps[1]
    got = history.weights.params["1.weight"].flatten().tolist()
    assert got == pytest.approx([row, -row], abs=1e-6)
    # A tenth of the way from (0, 1) to each one's mean and unbiased variance.
    for state, expected in zip(history.clients, [(0.1, 1.1), (0.6, 1.98)], strict=True):
        buffers = state["norm"].buffers
        assert buffers["0.running_mean"].item() == pytest.approx(expected[0], abs=1e-6)
        assert buffers["0.running_var"].item() == pytest.approx(expected[1], abs=1e-6)
    assert history.weights.buffers["0.running_mean"].item() == 0
    assert history.weights.buffers["0.running_var"].item() == 1


@pytest.mark.parametrize("kind", ["resnet_small", "resnet34"])
def test_the_shortcuts_norms_are_found(kind):
    net = build(kind, 3, {"resnet_small": 8, "resnet34": 64}[kind], 64, 0)
    found = norm_layers(net)
    assert {"bn1", "layer1.0.bn2", "layer2.0.downsample.1", "layer4.0.downsample.1"} <= found
    rest = {name for name in net.state_dict() if name.rpartition(".")[0] not in found}
    assert not any("running" in name or "tracked" in name for name in rest)
    assert {name.rpartition(".")[0] for name in rest} == {
        name for name, module in net.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)
    }


def test_batchnorm_of_a_residual_network_never_leaves_its_client():
    net, draw = build("resnet_small", 3, 8, 16, 0), torch.Generator().manual_seed(0)
    data = [
        ClientData(torch.randn(n, 3, 16, 16, generator=draw), torch.arange(n) % 3) for n in (4, 6)
    ]
    training = settings(rounds=2, local_epochs=1)
    sent.clear()
    history = federate(Watched(), net, data, data[0], training, seed=0)
    norm = {name for name in net.state_dict() if name.rpartition(".")[0] in norm_layers(net)}
    assert len(norm) == 5 * 12 and len(sent) == 4
    assert all(names(update.weights) == net.state_dict().keys() - norm for update in sent)
    before, after = tensors(Weights.of(net)), tensors(history.weights)
    for name in before:
        assert torch.equal(before[name], after[name]) == (name in norm), name
    first, second = (tensors(state["norm"]) for state in history.clients)
    assert first.keys() == second.keys() == norm
    for name in ("layer2.0.downsample.1.weight", "layer2.0.downsample.1.running_mean"):
        assert not torch.equal(first[name], second[name])
        assert not torch.equal(first[name], before[name])


def test_kinds_of_norms():
    net = nn.Sequential(
        nn.BatchNorm1d(2),
        nn.BatchNorm2d(2),
        nn.BatchNorm3d(2),
        nn.SyncBatchNorm(2),
        nn.GroupNorm(1, 2),
        nn.LayerNorm(2),
        nn.InstanceNorm2d(2, affine=True),
    )
    assert norm_layers(net) == {"0", "1", "2", "3"}


def test_aggregation_never_changes_a_clients_batchnorm():
    started.clear()
    run(Watched(), client_fraction=0.6)
    own = [(state["norm"], weights) for state, weights in started if "norm" in state]
    assert own
    for norm, weights in own:
        assert same(norm, weights.select(lambda name: name in NORM))


def test_a_client_never_selected_has_the_mean_under_the_initial_batchnorm():
    history = run(rounds=1, client_fraction=0.3)
    (chosen,) = select([0, 1, 3], 0.3, 0, 0)
    initial = Weights.of(network()).select(lambda name: name in NORM)
    net = network()
    (history.weights | initial).into(net)
    for number in {0, 1, 3} - {chosen}:
        assert history.clients[number] == {}
        assert history.personal[0][number] == evaluate(net, SPLITS[number])
    assert not torch.equal(history.weights.params["0.weight"], network()[0].weight)


def test_the_order_of_clients_never_matters():
    whole = {"batch_size": 100, "local_epochs": 1, "momentum": 0.0}
    one, other = run(data=DATA, **whole), run(data=DATA[::-1], **whole)
    assert gap(one.weights, other.weights) < 1e-6
    assert gap(one.clients[1]["norm"], other.clients[2]["norm"]) < 1e-6


def test_a_killed_federation_goes_on_bit_for_bit(tmp_path):
    sampled = partial(run, client_fraction=0.7)
    whole = sampled()
    for turns in range(1, 7):
        assert_same(killed_and_resumed(sampled, tmp_path, turns), whole)


def test_empty_and_tiny_clients():
    history = run(data=tiny_clients())
    own = {number: history.weights | history.clients[number]["norm"] for number in (1, 2, 3)}
    assert_own_models(history, own, SPLITS)


MUTATIONS = (
    ("norms by the name of the layer", "isinstance(module, _BatchNorm)", '"bn" in name'),
    (
        "norms in two dimensions only",
        "isinstance(module, _BatchNorm)",
        "type(module) is nn.BatchNorm2d",
    ),
    ("norms are sent and averaged", "Update(shared, ", "Update(trained, "),
    (
        "running statistics are sent and averaged",
        "Update(shared, ",
        "Update(shared | Weights({}, trained.buffers), ",
    ),
    (
        "a client starts with the global norms",
        'received.weights | state.get("norm", Weights({}, {}))',
        "received.weights",
    ),
    ("all weights are kept", '{"norm": own}', '{"norm": trained}'),
    ("statistics are not kept", '{"norm": own}', '{"norm": Weights(own.params, {})}'),
)
