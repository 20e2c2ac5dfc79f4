"""Every method at a size of milliseconds: its clients, its federation, and what is seen of it."""

import copy
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from toy_clients import client, clients, network, settings

from regl_core import methods
from regl_core.clients import ClientData
from regl_core.federation import FederationCheckpoint, FederationState, federate
from regl_core.methods import FedAvg, Method
from regl_core.methods.dynafed import DynaFed
from regl_core.methods.fedalign import FedAlign
from regl_core.methods.fedamp import FedAMP
from regl_core.methods.fedbn import FedBN
from regl_core.methods.fedcac import FedCAC
from regl_core.methods.fednova import FedNova
from regl_core.methods.fedopt import FedOpt
from regl_core.methods.fedprox import FedProx
from regl_core.methods.fedrep import FedRep
from regl_core.methods.moon import Moon
from regl_core.methods.pfedgate import PFedGate
from regl_core.methods.scaffold import Scaffold
from regl_core.methods.separate import Separate
from regl_core.models import build
from regl_core.weights import Weights

TEST = client(12, seed=99)
DATA = clients(5, 9, 0, 3)
SPLITS = [client(7, seed=40 + number) for number in range(5)]
OWNERS = [0, 1, 3]  # of DATA, those with images
# Two with a last batch of one, one without images, one with a single one, one with one class.
ODD = [
    *clients(5, 9),
    client(0),
    client(1, 8),
    ClientData(client(6, 7).images, client(6).labels * 0),
]
ONE_STEP = {"rounds": 1, "local_epochs": 1, "batch_size": 100, "momentum": 0.0, "weight_decay": 0.0}

# By the name of its file; hyper-parameters that make it quick, and felt at this size.
CASES: dict[str, Method] = {
    "fedavg": FedAvg(),
    "fedprox": FedProx(mu=0.3),
    "fednova": FedNova(),
    "fedopt": FedOpt(),
    "scaffold": Scaffold(),
    "moon": Moon(projection_size=8),
    "fedalign": FedAlign(),
    "dynafed": DynaFed(
        trajectory=3,
        segment=2,
        averaged=1,
        images_per_class=2,
        inner_steps=2,
        iterations=3,
        server_epochs=2,
    ),
    "separate": Separate(),
    "fedbn": FedBN(),
    "fedrep": FedRep(),
    "fedamp": FedAMP(alpha=0.5, sigma=1.0, regularization=0.5),
    "fedcac": FedCAC(),
    "pfedgate": PFedGate(gate_side=4),
}


# And every other, as it is by default: one that is added owes the same.
_LISTED = set(map(type, CASES.values()))
CASES |= {name: kind() for name, kind in methods.known().items() if kind not in _LISTED}
EVERY = sorted(methods.known())


def built(name: str) -> Method:
    """The method called `name`, as above where it is there."""
    return next((it for it in CASES.values() if it.name == name), None) or methods.get(name, {})


def small_resnet() -> nn.Module:
    return build("resnet_small", classes=3, width=8, side=16, seed=0)


def net_of(method: Method) -> nn.Module:
    """A network it can train: that of `toy_clients`, with a last block where it needs one."""
    if not isinstance(method, FedAlign):
        return network()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        conv, fc = nn.Conv2d(3, 16, 3), nn.Linear(32, 3)
        block = nn.Sequential(nn.Conv2d(16, 32, 1), nn.BatchNorm2d(32))
    pool, flat = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(OrderedDict(conv=conv, layer4=block, pool=pool, flat=flat, fc=fc))


def run(
    method: Method,
    data: Sequence[ClientData] = DATA,
    net: nn.Module | None = None,
    checkpoint: FederationCheckpoint | None = None,
    tick: Callable[[float], None] = lambda fraction: None,
    **changes,
) -> FederationState:
    """The federation of `method` on `data`, each client tested on its own of SPLITS."""
    own = SPLITS[: len(data)]
    net = net or net_of(method)
    return federate(method, net, data, TEST, settings(**changes), 0, tick, checkpoint, own)


def start_of(method: Method, history: FederationState, number: int) -> Weights:
    """What client `number` would start from after the last round: its own model."""
    return method.start(method.answer(history.server, number), history.clients[number])


@dataclass(frozen=True)
class Call:
    """One call of a hook: what was given, what came back, and a copy of that at the time."""

    given: tuple[Any, ...]
    result: Any
    then: Any


def given(call: Call) -> tuple[Any, ...]:
    return call.given


def watched(method: Method, hook: str) -> tuple[Method, list[Call]]:
    """`method`, and the calls of one of its hooks, which are told as they come."""
    calls: list[Call] = []

    def told(self: Method, *given: Any) -> Any:
        result = getattr(type(method), hook)(self, *given)
        calls.append(Call(given, result, copy.deepcopy(result)))
        return result

    kind = type("Watched", (type(method),), {"name": "watched", hook: told})
    return kind(**method.model_dump()), calls
