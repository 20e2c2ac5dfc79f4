"""How far two sets of images lie apart, from their features."""

import torch
from torch import Tensor

PAIRS = 2**24  # of images, whose kernel is in memory at once: 0.3 GB with what leads to it


def kernel_distance(real: Tensor, other: Tensor) -> float:
    """Squared maximum mean discrepancy of features (n, d) and (m, d), n and m at least 2.

    The unbiased estimate (Gretton et al., "A kernel two-sample test", 2012, Eq. 3) with a Gaussian
    kernel whose width is the median distance between real images. It can be slightly negative
    where the two sets come from one distribution. Takes memory for half of the n² distances
    between real images, and for `PAIRS`.
    """
    real, other = real.double(), other.double()
    width = torch.pdist(real).median().clamp_min(torch.finfo(torch.float64).eps)

    def total(one: Tensor, two: Tensor) -> Tensor:
        """The kernel summed over all pairs, some rows at a time."""
        parts = one.split(max(1, PAIRS // len(two)))
        kernels = (torch.exp(-torch.cdist(it, two).square() / (2 * width.square())) for it in parts)
        return sum(kernel.sum() for kernel in kernels)

    def within(one: Tensor) -> Tensor:
        n = len(one)
        return (total(one, one) - n) / (n * (n - 1))  # without each image's 1 with itself

    across = total(real, other) / (len(real) * len(other))
    return float(within(real) + within(other) - 2 * across)


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
