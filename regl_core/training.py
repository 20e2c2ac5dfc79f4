"""One client's local training: the hot loop, and the only message a client ever sends."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import ReglError
from .keeper import Keeps
from .params import TrainingSettings
from .resuming import stepwise
from .seeds import torch_generator
from .weights import Weights

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]  # (net, images, labels) -> scalar
Correct = Callable[[nn.Module], None]


@dataclass(frozen=True)
class ClientData:
    """Images and labels that stay with their owner.

    Attributes
    ----------
    images
        float32 (n, channels, side, side), normalised.
    labels
        int64 (n,).
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise ReglError(
                f"{len(self.images)} images have {len(self.labels)} labels; give one label each"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "ClientData":
        """The same data on `device`."""
        return ClientData(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Update:
    """All that a client sends to the server in one round.

    Attributes
    ----------
    weights
        A copy of the client's weights, or the part of them its method shares.
    count
        Number of images trained on.
    extra
        What the method declares in `Method.uploads` besides, by name.
    """

    weights: Weights
    count: int
    extra: Mapping[str, Weights | Tensor]


@dataclass(frozen=True)
class Phase:
    """A stretch of local training: `epochs` over the data, moving only the parameters named.

    With `params` None, all trainable parameters move.
    """

    epochs: int
    params: Collection[str] | None = None


def cross_entropy(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of one batch (the task of Sec. 4.2 is single-label)."""
    return F.cross_entropy(net(images), labels)


def nothing(net: nn.Module) -> None:
    """Leaves the gradient as it is."""


def batches(data: ClientData, size: int, *path: int | str) -> Sequence[Tensor]:
    """The indices of one epoch's batches, int64, in the order drawn from the seed `path`.

    The last batch is as small as it comes. A batch of a single image holds it twice: its mean
    loss is the same, and BatchNorm, which cannot train on one value per channel, gets two.
    """
    order = torch.randperm(len(data), generator=torch_generator(*path))
    parts = order.to(data.labels.device).split(size)
    return [part.repeat(2) if len(part) == 1 else part for part in parts]


def sgd(params: Iterable[Tensor], rate: float, training: TrainingSettings) -> torch.optim.SGD:
    """A fresh optimiser: no momentum survives a round."""
    return torch.optim.SGD(
        params,
        lr=rate,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        foreach=True,
    )


def epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: ClientData,
    order: Sequence[Tensor],
    loss: Loss = cross_entropy,
    correct: Correct = nothing,
) -> None:
    """One optimiser step of `net` for each batch of `order`."""
    net.train()
    for index in order:
        optimizer.zero_grad()
        images, labels = data.images.index_select(0, index), data.labels.index_select(0, index)
        loss(net, images, labels).backward()
        correct(net)
        optimizer.step()


def local_sgd(
    net: nn.Module,
    data: ClientData,
    training: TrainingSettings,
    path: tuple[int | str, ...],
    phases: Sequence[Phase],
    loss: Loss = cross_entropy,
    correct: Correct = nothing,
    keeper: Keeps | None = None,
) -> int:
    """Train `net` in place from its present weights; return the number of optimiser steps.

    The batches of epoch e, counted through all phases, are drawn from ``(*path, e)``. Every
    phase has a fresh optimiser. `correct` is called between backward and step. `keeper`: where to
    go on from and to save to after an epoch (`stepwise`).
    """
    trainable = {name: p for name, p in net.named_parameters() if p.requires_grad}
    moving = [
        {name: p for name, p in trainable.items() if phase.params is None or name in phase.params}
        for phase in phases
    ]
    optimizers = [sgd(params.values(), training.rate, training) for params in moving]
    phase_of = [i for i, phase in enumerate(phases) for _ in range(phase.epochs)]

    def one_epoch(number: int) -> int:
        phase = phase_of[number]
        net.zero_grad()  # a parameter that rests now must not show `correct` an old gradient
        for name, parameter in trainable.items():
            parameter.requires_grad_(name in moving[phase])
        order = batches(data, training.batch_size, *path, number)
        epoch(net, optimizers[phase], data, order, loss, correct)
        return len(order)

    try:
        return sum(stepwise(one_epoch, len(phase_of), (net, *optimizers), keeper))
    finally:
        net.zero_grad()
        for parameter in trainable.values():
            parameter.requires_grad_(True)


@torch.inference_mode()
def evaluate(net: nn.Module, data: ClientData, size: int = 512) -> float:
    """Accuracy of `net` in eval mode, in percent. ReglError if there are no images."""
    if not len(data):
        raise ReglError("no test images: give at least one")
    net.eval()
    batched = zip(data.images.split(size), data.labels.split(size), strict=True)
    right = sum((net(images).argmax(1) == labels).sum() for images, labels in batched)
    return 100 * int(right) / len(data)


def repeatable() -> AbstractContextManager[None]:
    """Restricts cuDNN to kernels that give the same bits every time; no effect on a CPU."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
