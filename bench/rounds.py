"""What methods and the round loop add to bare PyTorch: their time over that of the same passes.

For each method a bare loop does as many forward and backward passes, optimiser steps and
evaluations on the same network and data. Both run in turns, in one process on one thread, first on
desk's small network, then on ResNet34.
Processor time is measured, which other programs disturb least. Some minutes.
"""

import copy
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regl_core import methods, models, params
from regl_core.federation import federate
from regl_core.methods.fedalign import slimmed
from regl_core.training import ClientData

ROUNDS = 2

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def plain(net: nn.Module) -> Loss:
    return lambda net, images, labels: F.cross_entropy(net(images), labels)


def contrasted(net: nn.Module) -> Loss:
    """MOON's passes: two frozen networks see each batch too, from the second round on."""
    frozen = [copy.deepcopy(net).eval().requires_grad_(False) for _ in range(2)]

    def loss(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        for other in frozen:
            other(images)
        return F.cross_entropy(net(images), labels)

    return loss


def aligned(net: nn.Module) -> Loss:
    """FedAlign's passes: the last block, slimmed, on what enters the block."""

    def loss(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        seen: list[Tensor] = []
        with net.layer4.register_forward_hook(lambda _, given, out: seen.extend(given)):
            value = F.cross_entropy(net(images), labels)
        inner = seen[0].detach()[:, : seen[0].shape[1] // 4]
        return value + 1e-3 * slimmed(net.layer4, 0.25, inner).square().mean()

    return loss


PASSES = {
    "FedAvg": plain,
    "FedProx": plain,
    "SCAFFOLD": plain,
    "FedNova": plain,
    "FedOpt": plain,
    "MOON": contrasted,
    "FedAlign": aligned,
}


def bare(
    net: nn.Module, loss_of: Callable[[nn.Module], Loss], clients: list, test: ClientData, settings
) -> None:
    """The passes and nothing else. The first round has no previous model to contrast with."""
    for number in range(ROUNDS):
        loss = plain(net) if loss_of is contrasted and number == 0 else loss_of(net)
        for data in clients:
            net.train()
            optimizer = torch.optim.SGD(
                net.parameters(),
                lr=settings.rate,
                momentum=settings.momentum,
                weight_decay=settings.weight_decay,
                foreach=True,
            )
            for _ in range(settings.local_epochs):
                order = torch.randperm(len(data)).split(settings.batch_size)
                for index in order:
                    optimizer.zero_grad()
                    loss(net, data.images[index], data.labels[index]).backward()
                    optimizer.step()
        net.eval()
        with torch.inference_mode():
            for images in test.images.split(512):
                net(images)


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
    Setup("desk's network", {}, 16, (20, 40, 60, 80, 100), 1500, 6),
    # Few images, since a step takes a second here; what counts is the arithmetic per step.
    Setup(
        "ResNet34, the paper's network, at 64 pixels",
        {"training.model": "resnet34", "training.width": 64, "training.local_epochs": 1},
        64,
        (64, 96),
        64,
        2,
    ),
)


def measure(setup: Setup) -> None:
    fixed = {"training.rounds": ROUNDS, "training.report_rounds": 1}
    settings = params.load("desk", {**fixed, **setup.changes}).training
    net = models.build(settings.model, 10, settings.width, setup.side, seed=0)
    draw = torch.Generator().manual_seed(0)

    def some(count: int) -> ClientData:
        images = torch.randn(count, 3, setup.side, setup.side, generator=draw)
        return ClientData(images, torch.randint(10, (count,), generator=draw))

    clients, test = [some(count) for count in setup.counts], some(setup.tested)

    def seconds(work: Callable[[], object]) -> float:
        start = time.process_time()
        work()
        return (time.process_time() - start) / ROUNDS

    print(f"one round, {setup.title}: method, ours, bare PyTorch (s), ratio: median (quartiles)")
    for name, loss_of in PASSES.items():
        method = methods.get(name, {})
        pairs = []
        for repeat in range(setup.repeats + 1):
            ours = seconds(lambda it=method: federate(it, net, clients, test, settings, seed=0))
            own = method.network(copy.deepcopy(net), 0)
            them = seconds(lambda it=own, loss=loss_of: bare(it, loss, clients, test, settings))
            if repeat:  # the first pair warms up
                pairs.append((ours, them))
        low, median, high = statistics.quantiles([a / b for a, b in pairs], n=4)
        ours, them = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{name:9} {ours:.3f} {them:.3f}  {median:.3f}  ({low:.3f}, {high:.3f})", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # else a search for garbage among all imported modules comes upon one of the two
    for setup in SETUPS:
        measure(setup)


if __name__ == "__main__":
    main()
