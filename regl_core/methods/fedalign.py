"""FedAlign."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ..errors import ReglError
from ..training import cross_entropy
from .base import Task
from .fedavg import FedAvg
from .spectral import SpectralGap


class FedAlign(FedAvg):
    """The last block at a quarter of its width is to have the Lipschitz constant of full width.

    The local loss of one batch is CE + μ·(CE/ℓ)·ℓ, the factor CE/ℓ held constant, with

        ℓ = mean over the images of (σ(T_s) − σ(T_t))²,   T = pool(f_in)·f_outᵀ / HW,

    f_in (C_in × HW) and f_out (C_out × HW) the block's input, pooled to the size of its output,
    and its output; T their transmitting matrix, σ(T) its spectral norm: σ(T)² is the top
    eigenvalue of T·Tᵀ, by power iteration from the vector of ones.
    T_t is the teacher's, the block at full width, detached; T_s the student's: the block with the
    first quarter of the channels of every layer, on the first quarter of the channels of the
    *detached* f_in. So ℓ moves only that part of the block. The norm of the whole gradient is
    clipped. Aggregation is FedAvg's, and at μ = 0 this is FedAvg with clipping.

    Mendieta et al., "Local learning matters: rethinking data heterogeneity in federated
    learning", 2022. Defaults are those of the official code.

    The last block is `layer4`, by its name in `ResNetSmall` and in torchvision's ResNets. The
    official networks are made of layers that can run slimmed; here any block of ungrouped
    convolutions and BatchNorms can. A layer keeps a multiple of 8 channels, as there. BatchNorm's
    running statistics move at full width only; the student uses those of the batch. Where the
    official code divides by zero (ℓ = 0, or an image whose features are all zero), the term is 0.
    That code calls backward for CE and for the term in turn; their sum has the same gradient.
    ℓ is computed in float32 also where layers run in bfloat16.

    A client keeps nothing between rounds; in training the activations of the slimmed block are
    in memory besides. A client without images or with a single one needs nothing special.
    """

    name = "FedAlign"
    candidates = ("mu", (0.05, 0.15, 0.45, 1.0))
    mu: float = Field(0.45, ge=0, description="the term's size as a share of CE; the paper")
    width: float = Field(
        0.25, gt=0, le=1, description="share of the channels the student has; the paper"
    )
    power_iterations: int = Field(10, ge=1, description="steps of the power method; official code")
    clip: float = Field(10.0, gt=0, description="largest norm of the gradient; official code")

    def network(self, net: nn.Module, seed: int) -> nn.Module:
        if not hasattr(net, "layer4"):
            raise ReglError(
                f"method {self.name!r}: {type(net).__name__} has no last block called layer4; "
                "use a ResNet, or give the block that name"
            )
        return net

    def prepare(self, task: Task) -> Any:
        """The student, and the parameters whose gradient is clipped."""
        net = task.now.net
        return Student.of(net.layer4, self.width), list(net.parameters())

    def loss(self, net: nn.Module, images: Tensor, labels: Tensor, context: Any) -> Tensor:
        student, _ = context
        seen: list[Tensor] = []
        with net.layer4.register_forward_hook(lambda _, given, out: seen.extend((*given, out))):
            supervised = cross_entropy(net, images, labels)
        inner, outer = (features.detach() for features in seen)
        part = first(inner, self.width, 1)
        apart = SpectralGap.apply(student(part), part, (inner, outer), self.power_iterations)
        scale = supervised.detach() / apart.detach().clamp_min(_TINY)
        return supervised + self.mu * scale * apart

    def correct(self, net: nn.Module, context: Any) -> None:
        student, params = context
        student.add_gradient()
        gradients = [weight.grad for weight in params if weight.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if norm > self.clip:
            torch._foreach_mul_(gradients, self.clip / (norm + 1e-6))  # as `clip_grad_norm_`


_TINY = 1e-30  # far below any difference float32 can hold, and its inverse is still finite


@dataclass(frozen=True)
class Student:
    """A block with only the first channels of each of its layers.

    Its weights are copies, brought up to date in every call, whose gradient is then added to that
    of the block: through slices of the block's own, autograd would fill up each with zeros first.

    Attributes
    ----------
    wide, views
        The block's parameters, and the part of their memory that is copied.
    slim
        A block of the copies. Its running statistics, which it moves, are its own: in training
        BatchNorm does not read them, and nobody else does.
    narrow
        The copies.
    """

    wide: Sequence[Tensor]
    views: Sequence[Tensor]
    slim: nn.Module
    narrow: Sequence[Tensor]

    @classmethod
    def of(cls, block: nn.Module, width: float) -> "Student":
        """The student of `block`, with the share `width` of its channels."""
        wide = list(block.parameters())
        views = [corner(weight.detach(), width) for weight in wide]
        narrow = [nn.Parameter(view.clone()) for view in views]
        # In a copy of the block they take the place of its own tensors.
        instead = {id(weight): own for weight, own in zip(wide, narrow, strict=True)}
        instead |= {id(buffer): corner(buffer, width).clone() for buffer in block.buffers()}
        return cls(wide, views, copy.deepcopy(block, instead).train(), narrow)

    def __call__(self, inputs: Tensor) -> Tensor:
        """What it makes of `inputs`, the first channels of those of the block."""
        with torch.no_grad():
            torch._foreach_copy_(self.narrow, self.views)
        for weight in self.narrow:
            weight.grad = None
        return self.slim(inputs)

    def add_gradient(self) -> None:
        """Add the gradient of the copies to that of the block, once both are there."""
        pairs = [(w.grad, n.grad) for w, n in zip(self.wide, self.narrow, strict=True)]
        corners = [wide.as_strided(narrow.shape, wide.stride()) for wide, narrow in pairs]
        torch._foreach_add_(corners, [narrow for _, narrow in pairs])


def corner(tensor: Tensor, width: float) -> Tensor:
    """The first channels of a parameter or buffer: of outputs and, where it has them, of inputs."""
    for dim in range(min(tensor.dim(), 2)):
        tensor = first(tensor, width, dim)
    return tensor


def first(tensor: Tensor, width: float, dim: int) -> Tensor:
    """The first channels of `tensor` along `dim`, the share asked to the nearest multiple of 8.

    As in the official networks a half is rounded up, and no more than a tenth of the share is lost.
    """
    channels = tensor.shape[dim]
    share = width * channels
    kept = max(8, 8 * int(share / 8 + 0.5))
    return tensor.narrow(dim, 0, min(channels, kept + 8 * (kept < 0.9 * share)))
