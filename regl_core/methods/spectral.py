"""How far apart the spectral norms of two transmitting matrices are, with its gradient (FedAlign).

Autograd itself would take longer over the small matrices here than over the block they come from.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, bmm
from torch.amp import custom_fwd
from torch.autograd import Function

Pair = tuple[Tensor, Tensor]


class SpectralGap(Function):
    """ℓ = mean over the images of (σ(T_s) − σ(T_t))², a scalar; float32 under autocast too.

    ``SpectralGap.apply(output, inputs, teacher, steps)``: what comes out of the student's block and
    what goes in, and the teacher's pair of inputs and output, as in `by_place`. The only gradient
    is that by the student's output, through the power method.

    With the names of `_power_method`, ∂m_j/∂G = Σ y_i y_{j−1−i}ᵀ over i < j, as m_j has j factors
    G; σ is the fourth root of m_2k/m_2k−2 but for a factor; and ∂/∂B = 2B·∂/∂G.
    """

    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    @custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(ctx: Any, output: Tensor, inputs: Tensor, teacher: Pair, steps: int) -> Tensor:
        a, b = by_place(inputs, output)
        norms, scale, path, last, before = _power_method([(a, b), by_place(*teacher)], steps)
        n = len(output)
        student = norms[:n]
        apart = student - norms[n:]
        forth = torch.cat(path, 2)[:n]
        back = forth.flip(2)
        by_g = bmm(forth, back.mT) / last[:n]
        if steps > 1:
            by_g -= bmm(forth[:, :, :-2], back[:, :, 2:].mT) / before[:n]
        by_g *= student * apart / (n * scale[:n])
        by_b = bmm(by_g, b.mT).mT  # with the places first, as B lies in memory in `ResNetSmall`
        ctx.save_for_backward(by_b.view_as(output))
        return (apart * apart).sum() / n

    @staticmethod
    def backward(ctx: Any, by_value: Tensor) -> tuple[Tensor | None, ...]:
        (by_output,) = ctx.saved_tensors
        return by_output * by_value, None, None, None


def by_place(inputs: Tensor, output: Tensor) -> Pair:
    """A (n, C_in, HW) and B (n, C_out, HW) of all images; T = ABᵀ/HW.

    `inputs` (n, C_in, ·, ·) are pooled to the size of `output` (n, C_out, H, W).
    """
    if inputs.shape[2:] != output.shape[2:]:
        inputs = F.adaptive_avg_pool2d(inputs, output.shape[2:])
    return inputs.flatten(2), output.flatten(2)


_TINY = 1e-30  # far below what is scaled to about one; in float32 its inverse is still finite


def _power_method(
    pairs: Sequence[Pair], steps: int
) -> tuple[Tensor, Tensor, list[Tensor], Tensor, Tensor]:
    """σ(T) of the images of all pairs A and B, and what it is made of.

    With S = AGAᵀ, G = BᵀB, which is HW²·TTᵀ, the top eigenvalue of S is taken to be |Sᵏ1| / |Sᵏ⁻¹1|
    after k steps, and |S1| after one, 1 itself not being normalised. |Sᵏ1|² is m_2k, where

        m_j = 1ᵀSʲ1 = aᵀG y_{j−1},  y_i = (HG)ⁱa,  H = AᵀA,  a = Aᵀ1:

    vectors of HW entries and matrices of HW × HW, which is small and the same for all pairs.

    Returns
    -------
    norms, scale
        σ, and by what G is divided in the rest, which a quotient of m_j does not see but for a
        factor; float (images, 1, 1).
    path
        y_0 to y_2k−1, each float (images, HW, 1).
    last, before
        m_2k and m_2k−2, the latter 1 if k is one; float (images, 1, 1).
    """
    inner = torch.cat([bmm(a.mT, a) for a, _ in pairs])
    outer = torch.cat([bmm(b.mT, b) for _, b in pairs])
    start = torch.cat([a.sum(1) for a, _ in pairs]).unsqueeze(2)
    places = start.shape[1]
    # The top eigenvalue is 1/HW to 1 of the trace. Scaled by the middle of the two, powers of HG
    # stay within float32 at either end.
    scale = (inner * outer).sum((1, 2), keepdim=True) * places**-0.5 + _TINY
    outer = outer / scale
    step, left, path = bmm(inner, outer), bmm(start.mT, outer), [start]
    for _ in range(2 * steps - 1):
        path.append(bmm(step, path[-1]))
    last = bmm(left, path[-1]) + _TINY
    before = bmm(left, path[-3]) + _TINY if steps > 1 else torch.ones_like(last)
    norms = (scale * (last / before).sqrt()).sqrt() / places
    return norms, scale, path, last, before
