"""Rounds in bare PyTorch: the passes of a method, and nothing else."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from regl_core.clients import ClientData
from regl_core.params import TrainingSettings

EVALUATED = 512  # images at once, as `training.evaluate`

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
    """FedAlign's passes: the last block with a quarter of its channels, on what enters the block.

    Its weights are slices of the block's, so that both passes move the same ones; its running
    statistics are its own. The loss on what it gives is as cheap as can be.
    """

    def loss(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        seen: list[Tensor] = []
        with net.layer4.register_forward_hook(lambda _, given, out: seen.extend(given)):
            value = F.cross_entropy(net(images), labels)
        slim = functional_call(net.layer4, quarter(net.layer4), seen[0].detach().chunk(4, 1)[0])
        return value + 1e-3 * slim.square().mean()

    return loss


def quarter(block: nn.Module) -> dict[str, Tensor]:
    """The first quarter of the channels of all tensors of `block`, along outputs and inputs."""
    part = {name: weight.chunk(4, 0)[0] for name, weight in block.named_parameters()}
    part = {name: w.chunk(4, 1)[0] if w.dim() > 1 else w for name, w in part.items()}
    for name, buffer in block.named_buffers():
        part[name] = (buffer.chunk(4)[0] if buffer.dim() else buffer).clone()
    return part


PASSES: dict[str, Callable[[nn.Module], Loss]] = {
    "FedAvg": plain,
    "FedProx": plain,
    "SCAFFOLD": plain,
    "FedNova": plain,
    "FedOpt": plain,
    "MOON": contrasted,
    "FedAlign": aligned,
}


@dataclass(frozen=True)
class Way:
    """How a bare loop computes. What is not said here is as PyTorch does it unasked."""

    precision: str = "float32"  # of autocast
    tf32: bool = True  # for convolutions in float32, on GPUs that have it
    benchmark: bool = False  # cuDNN tries its kernels and takes the fastest
    deterministic: bool = False  # cuDNN's kernels that give the same bits every time

    @contextmanager
    def set(self) -> Iterator[None]:
        """Within the block cuDNN is told so."""
        flags = {
            "enabled": True,
            "benchmark": self.benchmark,
            "deterministic": self.deterministic,
            "allow_tf32": self.tf32,
        }
        with torch.backends.cudnn.flags(**flags):
            yield

    def cast(self, device: torch.device) -> torch.autocast:
        """Within the block passes have this precision."""
        wanted = getattr(torch, self.precision)
        return torch.autocast(device.type, wanted, enabled=wanted != torch.float32)


def bare(
    net: nn.Module,
    loss_of: Callable[[nn.Module], Loss],
    clients: Sequence[ClientData],
    test: ClientData | None,
    settings: TrainingSettings,
    way: Way,
) -> None:
    """All rounds of `settings`, on data that lie where `net` does.

    test: seen once a round, if given.
    """
    for _ in turns(net, loss_of, clients, test, settings, way):
        pass


def turns(
    net: nn.Module,
    loss_of: Callable[[nn.Module], Loss],
    clients: Sequence[ClientData],
    test: ClientData | None,
    settings: TrainingSettings,
    way: Way,
) -> Iterator[None]:
    """`bare` in pieces, each a client's training; the evaluation is at the head of the next one.

    The first round has no previous model to contrast with.
    """
    device = next(net.parameters()).device
    for number in range(settings.rounds):
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
                order = torch.randperm(len(data), device=device).split(settings.batch_size)
                for index in order:
                    optimizer.zero_grad()
                    with way.cast(device):
                        value = loss(net, seen(data.images[index]), data.labels[index])
                    value.backward()
                    optimizer.step()
            yield
        if test is not None:
            evaluated(net, test, way)
    yield


@torch.inference_mode()
def evaluated(net: nn.Module, test: ClientData, way: Way) -> int:
    """How many of `test` the network gets right."""
    net.eval()
    batches = zip(test.images.split(EVALUATED), test.labels.split(EVALUATED), strict=True)
    with way.cast(test.images.device):
        return int(sum((net(seen(x)).argmax(1) == y).sum() for x, y in batches))


def seen(images: Tensor) -> Tensor:
    """uint8 images as numbers from -1 to 1; others are so already."""
    return images.float().div_(127.5).sub_(1) if images.dtype == torch.uint8 else images
