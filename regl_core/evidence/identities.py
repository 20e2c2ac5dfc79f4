"""Exact algebra that every right implementation satisfies, measured: how far ours is from it.

Each identity trains small networks with BatchNorm on a few clients of random images, in a
second or less, and gives the largest deviation of any weight. A test holds all of them to
their bounds; notebooks/methods.ipynb shows the numbers.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import nn

from ..clients import ClientData
from ..federation import History, federate
from ..methods import get
from ..methods.fedavg import FedAvg
from ..methods.moon import Moon
from ..methods.pfedgate import PFedGate
from ..params import TrainingSettings
from ..seeds import derive, torch_generator
from ..training import Phase, local_sgd
from ..weights import Weights, combine, mean

SINGLE = 1e-6  # float32 arithmetic done in another order
BITWISE = 0.0


@dataclass(frozen=True)
class Identity:
    """Two things that must be equal, and a measure of how far apart they are.

    deviation: returns the largest absolute difference of any entry. bound: what it may be;
    `BITWISE` where both do the same arithmetic.
    """

    method: str
    statement: str
    bound: float
    deviation: Callable[[], float]


def table(identities: Sequence[Identity]) -> pd.DataFrame:
    """A row per identity: method, statement, the deviation measured now, and the bound."""
    return pd.DataFrame(
        {
            "method": identity.method,
            "identity": identity.statement,
            "deviation": identity.deviation(),
            "bound": identity.bound,
        }
        for identity in identities
    )


def gap(first: Weights, second: Weights) -> float:
    """The largest absolute difference of any parameter or buffer of the same name."""
    pairs = [(first.params, second.params), (first.buffers, second.buffers)]
    if any(a.keys() != b.keys() for a, b in pairs):
        return float("inf")
    return max(
        float((a[name].double() - b[name].double()).abs().max()) for a, b in pairs for name in a
    )


def _network(norm: bool = True) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(0, "model"))
        block = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1),
            nn.BatchNorm2d(32) if norm else nn.Identity(),
            nn.ReLU(),
        )
        return nn.Sequential(
            OrderedDict(  # with the names of a ResNet, for FedAlign
                layer4=block,
                pool=nn.AdaptiveAvgPool2d(1),
                flat=nn.Flatten(),
                fc=nn.Linear(32, 3),
            )
        )


def _client(count: int, number: int) -> ClientData:
    generator = torch_generator("identities", number)
    images = torch.randn(count, 3, 8, 8, generator=generator)
    return ClientData(images, torch.randint(3, (count,), generator=generator))


CLIENTS = tuple(_client(count, number) for number, count in enumerate((6, 11, 4)))
EVEN = tuple(_client(8, number) for number in range(3))
TWINS = (_client(9, 0), _client(9, 0))
TEST = _client(12, 99)


def _training(**changes: Any) -> TrainingSettings:
    values = {
        "model": "resnet_small",
        "width": 8,
        "rounds": 3,
        "local_epochs": 2,
        "batch_size": 4,
        "rate": 0.1,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "client_fraction": 1.0,
        "report_rounds": 1,
        "augmentation": "none",
        "precision": "float32",
        "compile": False,
        "device": "cpu",
    }
    return TrainingSettings(**(values | changes))


def _run(
    method: FedAvg | str,
    clients: Sequence[ClientData] = CLIENTS,
    norm: bool = True,
    hyperparameters: Mapping[str, Any] | None = None,
    **changes: Any,
) -> History:
    built = get(method, hyperparameters or {}) if isinstance(method, str) else method
    return federate(built, _network(norm), clients, TEST, _training(**changes), seed=0)


def _like_fedavg(
    name: str, clients: Sequence[ClientData] = CLIENTS, norm: bool = True, **hyperparameters: Any
) -> Callable[[], float]:
    """How far `name` with these hyper-parameters ends from FedAvg."""

    def deviation() -> float:
        other = _run(name, clients, norm, hyperparameters)
        return gap(other.weights, _run("FedAvg", clients, norm).weights)

    return deviation


def _local_sgd() -> float:
    net = _network()
    training = _training(rounds=1, momentum=0.9)
    local_sgd(net, CLIENTS[0], training, (0, "batches", 0, 0), (Phase(training.local_epochs),))
    return gap(_run("FedAvg", CLIENTS[:1], rounds=1, momentum=0.9).weights, Weights.of(net))


def _by_hand() -> float:
    sent = []
    for number, data in enumerate(CLIENTS):
        net = _network()
        local_sgd(net, data, _training(), (0, "batches", number, 0), (Phase(2),))
        sent.append(Weights.of(net))
    total = sum(map(len, CLIENTS))
    expected = mean(sent, [len(data) / total for data in CLIENTS])
    return gap(_run("FedAvg", rounds=1).weights, expected)


def _empty_client() -> float:
    empty = ClientData(torch.empty(0, 3, 8, 8), torch.empty(0, dtype=torch.int64))
    return gap(_run("FedAvg", (*CLIENTS, empty)).weights, _run("FedAvg").weights)


def _pooled() -> float:
    union = ClientData(
        torch.cat([data.images for data in CLIENTS]), torch.cat([data.labels for data in CLIENTS])
    )
    once = {"norm": False, "local_epochs": 1, "batch_size": len(union)}
    return gap(_run("Centralized", [union], **once).weights, _run("FedAvg", **once).weights)


class _Projected(FedAvg):
    """FedAvg on MOON's network."""

    name = "FedAvg, projected"

    def network(self, net: nn.Module, seed: int) -> nn.Module:
        return Moon().network(net, seed)


def _moon() -> float:
    return gap(_run("MOON", hyperparameters={"mu": 0.0}).weights, _run(_Projected()).weights)


class _OpenGate(PFedGate):
    """pFedGate whose gate is fixed at one: σ(100) is 1, without a gradient, in float32."""

    name = "pFedGate, open"

    def network(self, net: nn.Module, seed: int) -> nn.Module:
        gated = super().network(net, seed)
        nn.init.zeros_(gated.gate.outputs.weight)
        nn.init.constant_(gated.gate.outputs.bias, 100.0)
        return gated


def _open_gate() -> float:
    gated = _run(_OpenGate(share=1.0, gate_side=4)).weights
    inner = gated.select(lambda name: name.startswith("net."))

    def bare(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name.removeprefix("net."): tensor for name, tensor in tensors.items()}

    return gap(Weights(bare(inner.params), bare(inner.buffers)), _run("FedAvg").weights)


def _twins() -> float:
    # Batches are drawn per client: only clients that take all images at once are identical.
    scaffold, fedavg = (_run(name, TWINS, batch_size=9) for name in ("SCAFFOLD", "FedAvg"))
    return gap(scaffold.weights, fedavg.weights)


def _mean_variate() -> float:
    history = _run("SCAFFOLD", rounds=4)
    count = len(CLIENTS)
    own = mean([state["c"] for state in history.clients], [1 / count] * count)
    return gap(own, combine(torch.clone, history.server.extra["c"]))


def _alone(name: str, **hyperparameters: Any) -> Callable[[], float]:
    """How far each client's own model ends from that of Separate."""

    def deviation() -> float:
        other, alone = _run(name, hyperparameters=hyperparameters), _run("Separate")
        pairs = zip(other.clients, alone.clients, strict=True)
        return max(gap(one["weights"], two["weights"]) for one, two in pairs)

    return deviation


def _unmoved(name: str, key: str) -> Callable[[], float]:
    """How far what a client keeps under `key` is moved by aggregation: last round on its own."""

    def deviation() -> float:
        method = get(name, {})
        history = _run(method)
        net, worst = method.network(_network(), 0), 0.0
        for number, state in enumerate(history.clients):
            kept = state[key]
            names = kept.params.keys() | kept.buffers.keys()
            method.start(method.answer(history.server, number), state).into(net)
            worst = max(worst, gap(Weights.of(net).select(names.__contains__), kept))
        return worst

    return deviation


def _buffers_are_means() -> float:
    optimised, plain = (_run(name, rounds=1).weights for name in ("FedOpt", "FedAvg"))
    return gap(Weights({}, optimised.buffers), Weights({}, plain.buffers))


def _no_server_epochs() -> float:
    small = {"trajectory": 3, "segment": 2, "iterations": 1, "images_per_class": 1}
    distilled = _run("DynaFed", hyperparameters=small | {"server_epochs": 0})
    return gap(distilled.weights, _run("FedAvg").weights)


IDENTITIES = (
    Identity("FedAvg", "one client, one round = local SGD", BITWISE, _local_sgd),
    Identity("FedAvg", "one round = Σ nᵢ/n · yᵢ of clients trained by hand", BITWISE, _by_hand),
    Identity("FedAvg", "a client without images changes nothing", BITWISE, _empty_client),
    Identity(
        "Centralized",
        "one step a round, no BatchNorm: FedAvg of any split",
        SINGLE,
        _pooled,
    ),
    Identity("FedProx", "μ = 0: FedAvg", BITWISE, _like_fedavg("FedProx", mu=0.0)),
    Identity("SCAFFOLD", "identical clients: FedAvg", SINGLE, _twins),
    Identity("SCAFFOLD", "all selected: mean of the cᵢ = c", SINGLE, _mean_variate),
    Identity("FedNova", "equal Kᵢ, ρ = 0: FedAvg", SINGLE, _like_fedavg("FedNova", EVEN)),
    Identity(
        "FedOpt",
        "server SGD, η_g = 1: FedAvg",
        BITWISE,
        _like_fedavg("FedOpt", variant="SGD", server_rate=1.0),
    ),
    Identity("FedOpt", "FedAdam moves no buffer but by the mean", BITWISE, _buffers_are_means),
    Identity("MOON", "μ = 0: FedAvg on the projected network", BITWISE, _moon),
    Identity(
        "FedAlign",
        "μ = 0, no clipping: FedAvg",
        BITWISE,
        _like_fedavg("FedAlign", mu=0.0, clip=1e30),
    ),
    Identity("DynaFed", "no epochs at the server: FedAvg", BITWISE, _no_server_epochs),
    Identity(
        "ReGL (TF)", "no synthetic images: FedAvg", BITWISE, _like_fedavg("ReGL (TF)", CLIENTS)
    ),
    Identity(
        "ReGL (FT)", "no synthetic images: FedAvg", BITWISE, _like_fedavg("ReGL (FT)", CLIENTS)
    ),
    Identity("FedRep", "aggregation leaves every head alone", BITWISE, _unmoved("FedRep", "own")),
    Identity(
        "FedBN", "aggregation leaves every BatchNorm alone", BITWISE, _unmoved("FedBN", "own")
    ),
    Identity("FedBN", "no BatchNorm: FedAvg", BITWISE, _like_fedavg("FedBN", CLIENTS, norm=False)),
    Identity("FedAMP", "λ = 0: Separate", BITWISE, _alone("FedAMP", regularization=0.0)),
    Identity(
        "FedAMP",
        "σ → ∞ and λ/α → 0: Separate",
        SINGLE,
        _alone("FedAMP", sigma=1e9, alpha=1e3, regularization=1e-3),
    ),
    Identity("pFedGate", "gate fixed at one, s = 1: FedAvg", BITWISE, _open_gate),
    Identity("FedCAC", "τ = 0: FedAvg", BITWISE, _like_fedavg("FedCAC", tau=0.0)),
)
