"""Exact algebra that every right implementation satisfies, measured: how far ours is from it.

Each identity trains small networks with BatchNorm on a few clients of random images, in a
second or less, and gives the largest deviation of any weight. A test holds all of them to
their bounds; notebooks/methods.ipynb shows the numbers.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import nn

from ..clients import ClientData
from ..federation import FederationState, federate
from ..methods import FedAvg, get
from ..methods.moon import Moon
from ..methods.pfedgate import PFedGate
from ..params import TrainingSettings
from ..seeds import derive, torch_generator
from ..training import Phase, local_sgd
from ..weights import Weights, combine, mean
from .quadratic import PLAIN_SGD

SINGLE = 1e-6  # float32 arithmetic done in another order
BITWISE = 0.0

Pairs = Iterable[tuple[Weights, Weights]]


@dataclass(frozen=True)
class Identity:
    """Pairs of things that must be equal, `sides`, which trains them anew.

    bound: by how much any entry may differ; `BITWISE` where both do the same arithmetic.
    """

    method: str
    statement: str
    sides: Callable[[], Pairs]
    bound: float = BITWISE

    def deviation(self) -> float:
        """The largest absolute difference of any entry."""
        return max(gap(*pair) for pair in self.sides())


def deviations(identities: Sequence[Identity]) -> pd.DataFrame:
    """A row per identity: method, statement, the deviation measured now, and the bound."""
    return pd.DataFrame(
        {
            "method": it.method,
            "identity": it.statement,
            "deviation": it.deviation(),
            "bound": it.bound,
        }
        for it in identities
    )


def gap(first: Weights, second: Weights) -> float:
    """The largest absolute difference of any parameter or buffer of the same name."""
    pairs = [(first.params, second.params), (first.buffers, second.buffers)]
    if any(a.keys() != b.keys() for a, b in pairs):
        return float("inf")
    return max(
        float((a[name].double() - b[name].double()).abs().max()) for a, b in pairs for name in a
    )


def small_network(norm: bool = True) -> nn.Module:
    """A convolution, BatchNorm if asked for, and a linear head for 3 classes; always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(0, "model"))
        layers = {  # with the names of a ResNet, for FedAlign
            "layer4": nn.Sequential(
                nn.Conv2d(3, 32, 3, padding=1),
                nn.BatchNorm2d(32) if norm else nn.Identity(),
                nn.ReLU(),
            ),
            "pool": nn.AdaptiveAvgPool2d(1),
            "flat": nn.Flatten(),
            "fc": nn.Linear(32, 3),
        }
        return nn.Sequential(OrderedDict(layers))


def _client(count: int, number: int) -> ClientData:
    generator = torch_generator("identities", number)
    images = torch.randn(count, 3, 8, 8, generator=generator)
    return ClientData(images, torch.randint(3, (count,), generator=generator))


CLIENTS = tuple(_client(count, number) for number, count in enumerate((6, 11, 4)))
EVEN = tuple(_client(8, number) for number in range(3))
TWINS = (_client(9, 0), _client(9, 0))
TEST = _client(12, 99)
STEPS = {"local_epochs": 2, "batch_size": 4, "rate": 0.1}


def _training(**changes: Any) -> TrainingSettings:
    return TrainingSettings(
        model="resnet_small", width=8, **PLAIN_SGD | {"rounds": 3} | STEPS | changes
    )


def _run(
    method: FedAvg | str,
    clients: Sequence[ClientData] = CLIENTS,
    hyperparameters: Mapping[str, Any] | None = None,
    norm: bool = True,
    **changes: Any,
) -> FederationState:
    built = get(method, hyperparameters or {}) if isinstance(method, str) else method
    return federate(built, small_network(norm), clients, TEST, _training(**changes), seed=0)


def _like_fedavg(
    name: str, clients: Sequence[ClientData] = CLIENTS, norm: bool = True, **hyperparameters: Any
) -> Callable[[], Pairs]:
    """What `name` with these hyper-parameters ends at, and FedAvg."""
    ways = (name, hyperparameters), ("FedAvg", None)
    return lambda: [tuple(_run(one, clients, its, norm).weights for one, its in ways)]


def _trained(data: ClientData, number: int, **changes: Any) -> Weights:
    """Where a client's first local training ends, without any federation."""
    net, training = small_network(), _training(**changes)
    path = 0, "batches", number, 0
    local_sgd(net, data, training, path, (Phase(training.local_epochs),))
    return Weights.of(net)


def _local_sgd() -> Pairs:
    alone = {"rounds": 1, "momentum": 0.9}
    yield _run("FedAvg", CLIENTS[:1], **alone).weights, _trained(CLIENTS[0], 0, **alone)


def _by_hand() -> Pairs:
    sent = [_trained(data, number) for number, data in enumerate(CLIENTS)]
    total = sum(map(len, CLIENTS))
    yield _run("FedAvg", rounds=1).weights, mean(sent, [len(data) / total for data in CLIENTS])


def _empty_client() -> Pairs:
    empty = ClientData(torch.empty(0, 3, 8, 8), torch.empty(0, dtype=torch.int64))
    yield _run("FedAvg", (*CLIENTS, empty)).weights, _run("FedAvg").weights


def _pooled() -> Pairs:
    columns = zip(*((data.images, data.labels) for data in CLIENTS), strict=True)
    union = ClientData(*map(torch.cat, columns))
    once = {"norm": False, "local_epochs": 1, "batch_size": len(union)}
    yield _run("Centralized", [union], **once).weights, _run("FedAvg", **once).weights


class _Projected(FedAvg):
    """FedAvg on MOON's network."""

    name = "FedAvg, projected"

    def network(self, net: nn.Module, seed: int) -> nn.Module:
        return Moon().network(net, seed)


def _moon() -> Pairs:
    yield _run("MOON", hyperparameters={"mu": 0.0}).weights, _run(_Projected()).weights


class _OpenGate(PFedGate):
    """pFedGate whose gate is fixed at one: σ(100) is 1, without a gradient, in float32."""

    name = "pFedGate, open"

    def network(self, net: nn.Module, seed: int) -> nn.Module:
        gated = super().network(net, seed)
        nn.init.zeros_(gated.gate.outputs.weight)
        nn.init.constant_(gated.gate.outputs.bias, 100.0)
        return gated


def _open_gate() -> Pairs:
    gated = _run(_OpenGate(share=1.0, gate_side=4)).weights

    def inner(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        own = {name: it for name, it in tensors.items() if name.startswith("net.")}
        return {name.removeprefix("net."): it for name, it in own.items()}

    yield Weights(inner(gated.params), inner(gated.buffers)), _run("FedAvg").weights


def _twins() -> Pairs:
    # Batches are drawn per client: only clients that take all images at once are identical.
    yield tuple(_run(name, TWINS, batch_size=9).weights for name in ("SCAFFOLD", "FedAvg"))


def _mean_variate() -> Pairs:
    history = _run("SCAFFOLD", rounds=4)
    count = len(CLIENTS)
    own = mean([state["c"] for state in history.clients], [1 / count] * count)
    yield own, combine(torch.clone, history.server.extra["c"])


def _alone(name: str, **hyperparameters: Any) -> Callable[[], Pairs]:
    """What each client's own model ends at, and that of Separate."""

    def sides() -> Pairs:
        other, alone = _run(name, hyperparameters=hyperparameters), _run("Separate")
        for one, two in zip(other.clients, alone.clients, strict=True):
            yield one["weights"], two["weights"]

    return sides


def _unmoved(name: str) -> Callable[[], Pairs]:
    """What a client starts from after aggregation, and what it keeps itself."""

    def sides() -> Pairs:
        method = get(name, {})
        history = _run(method)
        net = method.network(small_network(), 0)
        for number, state in enumerate(history.clients):
            kept = state["own"]
            names = kept.params.keys() | kept.buffers.keys()
            method.start(method.answer(history.server, number), state).into(net)
            yield Weights.of(net).select(names.__contains__), kept

    return sides


def _buffers_are_means() -> Pairs:
    yield tuple(Weights({}, _run(it, rounds=1).weights.buffers) for it in ("FedOpt", "FedAvg"))


DISTILLED = {"trajectory": 3, "segment": 2, "iterations": 1, "images_per_class": 1}
IDENTITIES = (
    Identity("FedAvg", "one client, one round = local SGD", _local_sgd),
    Identity("FedAvg", "one round = Σ nᵢ/n · yᵢ of clients trained by hand", _by_hand),
    Identity("FedAvg", "a client without images changes nothing", _empty_client),
    Identity("Centralized", "one step a round, no BatchNorm: FedAvg of any split", _pooled, SINGLE),
    Identity("FedProx", "μ = 0: FedAvg", _like_fedavg("FedProx", mu=0.0)),
    Identity("SCAFFOLD", "identical clients: FedAvg", _twins, SINGLE),
    Identity("SCAFFOLD", "all selected: mean of the cᵢ = c", _mean_variate, SINGLE),
    Identity("FedNova", "equal Kᵢ, ρ = 0: FedAvg", _like_fedavg("FedNova", EVEN), SINGLE),
    Identity(
        "FedOpt",
        "server SGD, η_g = 1: FedAvg",
        _like_fedavg("FedOpt", variant="SGD", server_rate=1.0),
    ),
    Identity("FedOpt", "FedAdam moves no buffer but by the mean", _buffers_are_means),
    Identity("MOON", "μ = 0: FedAvg on the projected network", _moon),
    Identity("FedAlign", "μ = 0, no clipping: FedAvg", _like_fedavg("FedAlign", mu=0.0, clip=1e30)),
    Identity(
        "DynaFed",
        "no epochs at the server: FedAvg",
        _like_fedavg("DynaFed", **DISTILLED, server_epochs=0),
    ),
    Identity("ReGL (TF)", "no synthetic images: FedAvg", _like_fedavg("ReGL (TF)")),
    Identity("ReGL (FT)", "no synthetic images: FedAvg", _like_fedavg("ReGL (FT)")),
    Identity("FedRep", "aggregation leaves every head alone", _unmoved("FedRep")),
    Identity("FedBN", "aggregation leaves every BatchNorm alone", _unmoved("FedBN")),
    Identity("FedBN", "no BatchNorm: FedAvg", _like_fedavg("FedBN", norm=False)),
    Identity("FedAMP", "λ = 0: Separate", _alone("FedAMP", regularization=0.0)),
    Identity(
        "FedAMP",
        "σ → ∞ and λ/α → 0: Separate",
        _alone("FedAMP", sigma=1e9, alpha=1e3, regularization=1e-3),
        SINGLE,
    ),
    Identity("pFedGate", "gate fixed at one, s = 1: FedAvg", _open_gate),
    Identity("FedCAC", "τ = 0: FedAvg", _like_fedavg("FedCAC", tau=0.0)),
)
