"""How far two sets of images lie apart, from their features."""

from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor

from ..engine import Checkpoint, stepwise

PAIRS = 2**24  # of images, whose kernel is in memory at once: 0.3 GB with what leads to it


def kernel_distance(
    real: Tensor,
    other: Tensor,
    checkpoint: Checkpoint | None = None,
    tick: Callable[[float], None] = lambda fraction: None,
) -> float:
    """Squared maximum mean discrepancy of features (n, d) and (m, d), n and m at least 2.

    The unbiased estimate (Gretton et al., "A kernel two-sample test", 2012, Eq. 3) with a Gaussian
    kernel whose width is the median distance between real images. It can be slightly negative
    where the two sets come from one distribution. Takes memory for half of the n² distances
    between real images, and for `PAIRS`.

    checkpoint : where to go on from and to save to (`stepwise`).
    tick : gets the share done, 0 to 1.
    """
    real, other = real.double(), other.double()

    def median(_: int) -> Tensor:
        return torch.pdist(real).median().clamp_min(torch.finfo(torch.float64).eps)

    (width,) = stepwise(median, 1, (), checkpoint and checkpoint / "width")
    # The kernel is summed over all pairs, some rows at a time.
    pairs = ((real, real), (other, other), (real, other))
    parts = [one.split(max(1, PAIRS // len(two))) for one, two in pairs]
    rows = [(part, two) for own, (_, two) in zip(parts, pairs, strict=True) for part in own]

    def summed(number: int) -> Tensor:
        return torch.exp(-torch.cdist(*rows[number]).square() / (2 * width.square())).sum()

    sums = iter(stepwise(summed, len(rows), (), checkpoint, tick))
    reals, others, across = (sum(islice(sums, len(own))) for own in parts)

    def within(total: Tensor, n: int) -> Tensor:
        return (total - n) / (n * (n - 1))  # without each image's 1 with itself

    apart = across / (len(real) * len(other))
    return float(within(reals, len(real)) + within(others, len(other)) - 2 * apart)


def frechet_distance(real: Tensor, other: Tensor) -> float:
    """Squared Fréchet distance of normal distributions fitted to features (n, d) and (m, d).

    |μ − ν|² + tr(A + B − 2 (A B)^½), as in Heusel et al., "GANs trained by a two time-scale update
    rule", 2017, Eq. 6. With fewer images than dimensions it is biased upwards, so compare it only
    between sets of one size.
    """
    real, other = real.double(), other.double()
    one, two = torch.cov(real.T), torch.cov(other.T)
    values, vectors = torch.linalg.eigh(one)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    # tr (A B)^½ is tr (A^½ B A^½)^½, whose matrix is symmetric.
    shared = torch.linalg.eigvalsh(root @ two @ root).clamp_min(0).sqrt().sum()
    apart = (real.mean(0) - other.mean(0)).square().sum()
    return float(apart + one.trace() + two.trace() - 2 * shared)
