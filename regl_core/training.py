"""One client's local training: the hot loop (`epoch`), and how a network is tested."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .augmentation import augmented
from .clients import ClientData
from .engine import Checkpoint, stepwise
from .errors import ReglError
from .params import TrainingSettings
from .seeds import torch_generator
from .system import Fitting, advised

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]  # (net, images, labels) -> scalar
Correct = Callable[[nn.Module], None]


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
    training: TrainingSettings,
    path: tuple[int | str, ...],
    done: int = 0,
    loss: Loss = cross_entropy,
    correct: Correct = nothing,
) -> Iterator[None]:
    """One optimiser step of `net` for each batch of `data`, at the indices in `order` (`batches`).

    A generator: it yields after each step, and leaves out the first `done` of them. The forward
    pass has the precision, and the images the augmentation, drawn by `path`, of `training`.
    """
    if not net.training:  # going through all modules takes longer than a step's optimiser
        net.train()
    device = next(net.parameters()).device
    moving = [weight for group in optimizer.param_groups for weight in group["params"]]
    for number, (images, labels) in enumerate(data.batches(order[done:], device), done):
        for weight in moving:  # as `zero_grad`, which takes as long as a layer of a small network
            weight.grad = None
        if training.augmentation != "none":
            images = augmented(images, *path, "augmentation", number)
        with cast(training.precision, device):
            value = loss(net, images, labels)
        value.backward()
        correct(net)
        optimizer.step()
        yield


def train_epochs(
    net: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    data: ClientData,
    training: TrainingSettings,
    path: tuple[int | str, ...],
    checkpoint: Checkpoint | None = None,
    *,
    loss: Loss = cross_entropy,
    correct: Correct = nothing,
    begin: Callable[[int], None] = lambda number: None,
    end: Callable[[int], Any] = lambda number: None,
    schedules: Sequence[torch.optim.lr_scheduler.LRScheduler] = (),
) -> list[Any]:
    """An `epoch` by each of `optimizers` in turn, which can be one and the same.

    The batches of epoch e are drawn from ``(*path, e)``. `begin` is called with the number of an
    epoch before it or what is left of it, `end` after its last step. `checkpoint`: where to go on
    from and to save to after a step (`stepwise`), the state of `schedules` too.

    Returns
    -------
    For every step what `end` has returned, None where it ended no epoch.
    """
    length = -(-len(data) // training.batch_size)
    paths = [(*path, number) for number in range(len(optimizers))]
    # All of them now: code that is seldom run takes ten times as long between two steps.
    orders = [batches(data, training.batch_size, *own) for own in paths]

    # `stepwise` asks for steps by number, `epoch` is a generator that takes one at each `next`:
    # `left` are the steps from `done` on, through all epochs, and `step` takes the next of them.
    def left(done: int) -> Iterator[Any]:
        for number in range(done // length, len(optimizers)):
            begin(number)
            each = net, optimizers[number], data, orders[number], training, paths[number]
            first = max(0, done - number * length)
            for step, _ in enumerate(epoch(*each, first, loss, correct), first + 1):
                yield end(number) if step == length else None

    steps: Iterator[Any] | None = None

    def step(number: int) -> Any:
        nonlocal steps
        steps = steps or left(number)
        return next(steps)

    parts = (net, *dict.fromkeys(optimizers), *schedules)
    return stepwise(step, length * len(optimizers), parts, checkpoint)


def cast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Runs matrix products and convolutions in this precision, what is delicate in float32."""
    enabled = precision != "float32"
    return torch.autocast(device.type, getattr(torch, precision), enabled=enabled)


def local_sgd(
    net: nn.Module,
    data: ClientData,
    training: TrainingSettings,
    path: tuple[int | str, ...],
    phases: Sequence[Phase],
    loss: Loss = cross_entropy,
    correct: Correct = nothing,
    checkpoint: Checkpoint | None = None,
) -> int:
    """Train `net` in place from its present weights; return the number of optimiser steps.

    The batches of epoch e, counted through all phases, are drawn from ``(*path, e)``. Every
    phase has a fresh optimiser. `correct` is called between backward and step. `checkpoint`: where
    to go on from and to save to after a step (`stepwise`).
    """
    trainable = {name: p for name, p in net.named_parameters() if p.requires_grad}
    moving = [
        {name: p for name, p in trainable.items() if phase.params is None or name in phase.params}
        for phase in phases
    ]
    optimizers = [sgd(params.values(), training.rate, training) for params in moving]
    phase_of = [i for i, phase in enumerate(phases) for _ in range(phase.epochs)]

    def begin(number: int) -> None:
        for name, parameter in trainable.items():
            parameter.grad = None  # one that rests now must not show `correct` an old gradient
            parameter.requires_grad_(name in moving[phase_of[number]])

    each = [optimizers[phase] for phase in phase_of]
    hooks = {"loss": loss, "correct": correct, "begin": begin}
    try:
        return len(train_epochs(net, each, data, training, path, checkpoint, **hooks))
    finally:
        for parameter in trainable.values():
            parameter.grad = None
            parameter.requires_grad_(True)


@torch.inference_mode()
def evaluate(
    net: nn.Module, data: ClientData, precision: str = "float32", size: int = 512
) -> float:
    """Accuracy of `net` in eval mode, in percent, `size` images at a time or what of it fits.

    NaN where the network gives NaN or infinity for any image: training has diverged.
    precision: as `TrainingSettings.precision`. Where images see each other in `net`, it has
    `sees_batches`, and fewer at a time are not tried. ReglError if there are no images, or those at
    a time do not fit into the memory.
    """
    if not len(data):
        raise ReglError("no test images: give at least one")
    net.eval()
    device = next(net.parameters()).device

    def right(some: int) -> float:
        if some < size and getattr(net, "sees_batches", False):
            raise ReglError(
                f"out of memory: classifying {size} images at a time; with fewer the results of "
                f"{type(net).__name__} would be others. Set training.precision to bfloat16 (now "
                f"{precision}), or use a GPU with more memory"
            )
        with cast(precision, device):
            found = ((net(x), y) for x, y in data.in_turn(some, device))
            # What is not finite makes the sum NaN.
            return float(sum((z.argmax(1) == y).sum() + 0 * z.double().sum() for z, y in found))

    return 100 * Fitting("classifying an image").tried(right, size) / len(data)


def repeatable() -> AbstractContextManager[None]:
    """Restricts cuDNN to kernels that give the same bits every time; no effect on a CPU."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)


def in_memory(what: str, training: TrainingSettings) -> AbstractContextManager[None]:
    """Within the block ReglError where the memory of the GPU does not suffice for `what`."""
    return advised(
        f"{what} does not fit into the memory of the GPU: lower training.batch_size (now "
        f"{training.batch_size}), or set training.precision to bfloat16 (now "
        f"{training.precision}); neither is done unasked, as both change results"
    )
