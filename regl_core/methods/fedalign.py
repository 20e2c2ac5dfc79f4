"""FedAlign."""

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, bmm, nn
from torch.func import functional_call
from torch.nn.utils import clip_grad_norm_

from ..errors import ReglError
from ..training import cross_entropy
from .fedavg import FedAvg


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

    A client keeps nothing between rounds; in training the activations of the slimmed block are
    in memory besides. A client without images or with a single one needs nothing special.
    """

    name = "FedAlign"
    looks_inside = True
    candidates = ("mu", (0.15, 0.45, 1.0, 2.0))
    mu: Annotated[float, Field(ge=0, description="the term's size as a share of CE; the paper")] = (
        0.45
    )
    width: Annotated[
        float, Field(gt=0, le=1, description="share of the channels the student has; the paper")
    ] = 0.25
    power_iterations: Annotated[
        int, Field(ge=1, description="steps of the power method; official code")
    ] = 10
    clip: Annotated[
        float, Field(gt=0, description="largest norm of the gradient; official code")
    ] = 10.0

    def network(self, net: nn.Module, seed: int) -> nn.Module:
        if not hasattr(net, "layer4"):
            raise ReglError(
                f"method {self.name!r}: {type(net).__name__} has no last block called layer4; "
                "use a ResNet, or give the block that name"
            )
        return net

    def loss(self, net: nn.Module, images: Tensor, labels: Tensor, context: Any) -> Tensor:
        seen: list[Tensor] = []
        with net.layer4.register_forward_hook(lambda _, given, out: seen.extend((*given, out))):
            supervised = cross_entropy(net, images, labels)
        inner, outer = (features.detach() for features in seen)
        part = _first(inner, self.width, 1)
        student, teacher = (
            spectral_norm(*by_place(*pair), self.power_iterations)
            for pair in ((part, slimmed(net.layer4, self.width, part)), (inner, outer))
        )
        apart = F.mse_loss(student, teacher)
        scale = supervised.detach() / apart.detach().clamp_min(_TINY)
        return supervised + self.mu * scale * apart

    def correct(self, net: nn.Module, context: Any) -> None:
        clip_grad_norm_(net.parameters(), self.clip)


_TINY = 1e-30  # far below any difference float32 can hold, and its inverse is still finite


def slimmed(block: nn.Module, width: float, inputs: Tensor) -> Tensor:
    """What `block` makes of `inputs` with only the first channels of each of its layers."""
    part = {}
    for name, weight in block.named_parameters():
        part[name] = _first(weight, width, 0)
        if weight.dim() > 1:
            part[name] = _first(part[name], width, 1)
    # In training BatchNorm does not read its running statistics but moves them: copies, here.
    for name, buffer in block.named_buffers():
        part[name] = (_first(buffer, width, 0) if buffer.dim() else buffer).clone()
    return functional_call(block, part, (inputs,))


def by_place(inputs: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Features (n, C_in, ·, ·) and (n, C_out, H, W) as (n, HW, C_in), pooled, and (n, HW, C_out).

    The channels come last, as they lie in memory in `ResNetSmall`.
    """
    inputs = F.adaptive_avg_pool2d(inputs, outputs.shape[2:])
    return inputs.movedim(1, 3).flatten(1, 2), outputs.movedim(1, 3).flatten(1, 2)


def spectral_norm(inputs: Tensor, outputs: Tensor, iterations: int) -> Tensor:
    """σ(T) of each image, (n, 1, 1), from features A and B as `by_place` gives them: T = AᵀB/HW.

    The power method takes σ² to be |Sⁿ1| / |Sⁿ⁻¹1|, S = TTᵀ, and after one step |S1|, 1 itself
    not being normalised. Sᵏ1 = Aᵀ(GH)ᵏ⁻¹GA1 with G = BBᵀ and H = AAᵀ, which are HW × HW: small.
    """
    # bmm, as @ takes its time to look at shapes. The quotient is as large as S: a constant scale
    # changes neither value nor gradient. The top eigenvalue of S is 1/HW to 1 of its trace;
    # scaled by the middle of the two, powers of S stay within float32 at either end.
    channels = inputs.mT
    inner, outer = bmm(inputs, channels), bmm(outputs, outputs.mT)
    middle = (inner * outer).detach().sum((1, 2), keepdim=True) / inputs.shape[1] ** 0.5
    scale = middle.clamp_min(_TINY)
    outer = outer / scale
    place = bmm(outer, inputs.sum(2, keepdim=True))
    divisor = 1
    if iterations > 1:
        step = bmm(outer, inner)
        place = bmm(torch.linalg.matrix_power(step, iterations - 2), place)
        divisor = _length(bmm(channels, place)).clamp_min(_TINY)
        place = bmm(step, place)
    value = scale * _length(bmm(channels, place)) / divisor
    return value.clamp_min(_TINY).sqrt() / inputs.shape[1]


def _length(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=1, keepdim=True)


def _first(tensor: Tensor, width: float, dim: int) -> Tensor:
    """The first channels of `tensor` along `dim`, the share asked to the nearest multiple of 8.

    As in the official networks a half is rounded up, and no more than a tenth of the share is lost.
    """
    channels = tensor.shape[dim]
    share = width * channels
    kept = max(8, 8 * int(share / 8 + 0.5))
    return tensor.narrow(dim, 0, min(channels, kept + 8 * (kept < 0.9 * share)))
