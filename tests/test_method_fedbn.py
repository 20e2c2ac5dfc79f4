"""FedBN: all is averaged but BatchNorm, whatever its name."""

import math

import pytest
import torch
from method_cases import DATA, ONE_STEP, SPLITS, run
from torch import nn
from toy_clients import network, same, settings

from regl_core.clients import ClientData
from regl_core.federation import federate, select
from regl_core.methods import FedAvg
from regl_core.methods.fedbn import FedBN, norm_layers
from regl_core.models import build
from regl_core.training import Phase, evaluate, local_sgd
from regl_core.weights import Weights, mean

NORM = {"1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"}


def test_without_batchnorm_it_is_fedavg():
    bare, fedavg = (run(method, net=network(norm=False)) for method in (FedBN(), FedAvg()))
    assert same(bare.weights, fedavg.weights)
    assert bare.accuracy == fedavg.accuracy and bare.personal == fedavg.personal


@pytest.mark.parametrize("fraction", [1.0, 0.6])
def test_all_rounds_by_hand(fraction):
    """Each client's own network: loaded with the mean but for its BatchNorm, then trained."""
    training = settings(client_fraction=fraction)
    history = run(FedBN(), client_fraction=fraction)
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
        kept = history.clients[number].get("own", own)  # a client never selected keeps nothing
        assert same(kept, own)


def test_one_round_of_two_normalised_clients_by_hand():
    """BatchNorm, then W = 0: both classes have p = 1/2, and BatchNorm's own gradient is 0."""
    net = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 2, bias=False))
    nn.init.zeros_(net[1].weight)
    two = [
        ClientData(torch.tensor([[0.0], [2.0]]), torch.tensor([0, 1])),  # mean 1, variance 1, 2
        ClientData(torch.tensor([[3.0], [9.0]] * 3), torch.tensor([1, 0] * 3)),  # 6, 9, 10.8
    ]
    training = settings(**ONE_STEP, rate=1.0)
    history = federate(FedBN(), net, two, two[0], training, seed=0)
    # Normalised x is ∓1/√(1 + ε/variance); row 0 moves by the mean of ([y = 0] − 1/2) x = ∓x/2.
    steps = [-0.5 / math.sqrt(1 + 1e-5), 0.5 / math.sqrt(1 + 1e-5 / 9)]
    row = 2 / 8 * steps[0] + 6 / 8 * steps[1]
    got = history.weights.params["1.weight"].flatten().tolist()
    assert got == pytest.approx([row, -row], abs=1e-6)
    # A tenth of the way from (0, 1) to each one's mean and unbiased variance.
    for state, expected in zip(history.clients, [(0.1, 1.1), (0.6, 1.98)], strict=True):
        buffers = state["own"].buffers
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


# What is kept and sent: `test_method_partial`.
MUTATIONS = (
    ("norms by the name of the layer", "isinstance(module, _BatchNorm)", '"bn" in name'),
    (
        "norms in two dimensions only",
        "isinstance(module, _BatchNorm)",
        "type(module) is nn.BatchNorm2d",
    ),
    ("all but the norms is kept", "layer(name) in norms", "layer(name) not in norms"),
    ("nothing is kept", "layer(name) in norms", "name in norms"),
)
