"""What methods and the round loop add to bare PyTorch: their time over that of the same passes.

For each method a bare loop does as many forward and backward passes, optimiser steps and
evaluations on the same network and data. Both take turns, a client of the one and of the other, in
one process on one thread, first on desk's small network, then on ResNet34.
Processor time is measured, which other programs disturb least. About half an hour.

Passes are those through layers. MOON's frozen networks and FedAlign's slimmed block count
(`passes`); what a method does with gradients, weights and features besides does not.
"""

import copy
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from regl_core import methods, models, params
from regl_core.clients import ClientData
from regl_core.federation import federate
from regl_core.methods import Method
from regl_core.params import TrainingSettings

from .pairs import Timings
from .passes import PASSES, Loss, Way, turns


@dataclass(frozen=True)
class Setup:
    """What a round is made of."""

    title: str
    changes: Mapping[str, Any]  # to the desk profile
    side: int  # pixels
    counts: tuple[int, ...]  # images of each client
    tested: int  # images
    repeats: int


SETUPS = (
    Setup("desk's network", {}, 16, (20, 40, 60, 80, 100), 1500, 24),
    # The paper's network, image size and local epochs. Its batches have 128 images, its clients
    # hundreds to thousands: what a method adds to a step or a round is a smaller share there.
    Setup(
        "ResNet34, the paper's network, at 224 pixels",
        {
            "training.model": "resnet34",
            "training.width": 64,
            "training.batch_size": 8,
            "training.rounds": 2,
        },
        224,
        (8,),
        8,
        2,
    ),
)


def measure(setup: Setup) -> None:
    fixed = {"training.report_rounds": 1}
    settings = params.load("desk", {**fixed, **setup.changes}).training
    net = models.build(settings.model, 10, settings.width, setup.side, seed=0)
    draw = torch.Generator().manual_seed(0)

    def some(count: int) -> ClientData:
        images = torch.randn(count, 3, setup.side, setup.side, generator=draw)
        return ClientData(images, torch.randint(10, (count,), generator=draw))

    clients, test = [some(count) for count in setup.counts], some(setup.tested)

    print(f"one round, {setup.title}: method, ours, bare PyTorch (s), ratio: median (quartiles)")
    for name, loss_of in PASSES.items():
        method = methods.get(name, {})
        in_turns(method, loss_of, net, clients, test, settings)  # warms up
        gc.collect()
        gc.freeze()  # else a search for garbage among all modules comes upon one of the two
        pairs = [
            in_turns(method, loss_of, net, clients, test, settings) for _ in range(setup.repeats)
        ]
        both = Timings(*zip(*pairs, strict=True), warm=True)
        ours, them = (median / settings.rounds for median in both.seconds)
        low, median, high = both.overhead
        print(f"{name:9} {ours:.3f} {them:.3f}  {median:.3f}  ({low:.3f}, {high:.3f})", flush=True)


def in_turns(
    method: Method,
    loss_of: Callable[[nn.Module], Loss],
    net: nn.Module,
    clients: Sequence[ClientData],
    test: ClientData,
    settings: TrainingSettings,
) -> tuple[float, float]:
    """Seconds that ours and the bare loop take, the latter going on when ours has done a client."""
    own = method.network(copy.deepcopy(net), 0)
    rest = turns(own, loss_of, clients, test, settings, Way())
    spent, last = [0.0, 0.0], time.process_time()

    def lap(which: int) -> None:
        nonlocal last
        now = time.process_time()
        spent[which] += now - last
        last = now

    def switch(fraction: float = 1.0) -> None:
        lap(0)
        next(rest)
        lap(1)

    federate(method, net, clients, test, settings, seed=0, tick=switch)
    switch()
    ours, bare = spent
    return ours, bare


def main() -> None:
    torch.set_num_threads(1)
    for setup in SETUPS:
        measure(setup)


if __name__ == "__main__":
    main()
