"""Two measures of how far two sets of features lie apart, by hand and by what they must obey."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from regl_core.stages import distances
from regl_core.stages.distances import frechet_distance, kernel_distance

MEASURES = pytest.mark.parametrize("measure", [kernel_distance, frechet_distance])


def column(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


def drawn(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normal(mean: list[float], covariance: list[list[float]]) -> Tensor:
    """Points (2 d, d) with exactly this mean and this covariance."""
    d = len(mean)
    corners = torch.cat([torch.eye(d), -torch.eye(d)]).double() * math.sqrt((2 * d - 1) / 2)
    root = torch.linalg.cholesky(torch.tensor(covariance, dtype=torch.float64))
    return corners @ root.T + torch.tensor(mean, dtype=torch.float64)


def test_kernel_distance_of_three_points_and_two():
    """Distances of the real points 0, 1, 3 are 1, 3 and 2: the width is 2, 2 σ² is 8."""
    near, mid, far = (math.exp(-d * d / 8) for d in (1, 2, 3))
    real, other = (near + mid + far) / 3, near
    across = (1 + near + near + 1 + far + mid) / 6
    expected = real + other - 2 * across
    found = kernel_distance(column(0, 1, 3), column(0, 1))
    assert found == pytest.approx(expected, abs=1e-12)


def test_the_kernel_takes_its_width_from_the_real_images_alone():
    one, other = drawn(10, 3), 5 * drawn(10, 3, seed=1)
    assert abs(kernel_distance(one, other) - kernel_distance(other, one)) > 0.01


def test_kernel_distance_of_two_halves_is_zero_in_the_mean_and_of_shifted_ones_grows():
    sample, generator = drawn(40, 3), torch.Generator().manual_seed(1)
    halves = [torch.randperm(40, generator=generator).split(20) for _ in range(200)]
    same = [kernel_distance(sample[a], sample[b]) for a, b in halves]
    assert min(same) < 0 < max(same)  # unbiased: its square has no floor at zero
    assert abs(sum(same)) / 200 < 0.005 < max(same)
    shifted = [
        [kernel_distance(sample[a], sample[b] + shift) for a, b in halves] for shift in (0.5, 1, 2)
    ]
    means = [sum(found) / 200 for found in shifted]
    assert 0.05 < means[0] < means[1] < means[2]
    assert min(shifted[2]) > max(same)


def test_real_images_that_are_all_the_same_have_a_kernel_distance():
    same = torch.ones(4, 2)
    assert kernel_distance(same, same) == 0
    assert kernel_distance(same, torch.eye(2)) == 1


def test_frechet_distance_of_known_normal_distributions():
    """Diagonal ones: |μ − ν|² + Σ (√a − √b)², here 5 + (1 + 0 + 4)."""
    one = normal([0, 0, 0], [[1, 0, 0], [0, 4, 0], [0, 0, 9]])
    other = normal([1, 0, 2], [[4, 0, 0], [0, 4, 0], [0, 0, 1]])
    assert frechet_distance(one, other) == pytest.approx(10, abs=1e-9)


def test_frechet_distance_where_the_covariances_do_not_commute():
    """Of a 2 × 2 matrix M, tr M^½ = √(tr M + 2 √det M); A B has trace 10, determinant 12."""
    one, other = normal([0, 0], [[2, 1], [1, 2]]), normal([0, 3], [[1, 0], [0, 4]])
    expected = 9 + 4 + 5 - 2 * math.sqrt(10 + 2 * math.sqrt(12))
    assert frechet_distance(one, other) == pytest.approx(expected, abs=1e-9)


@MEASURES
@given(seed=st.integers(0, 2**32), n=st.integers(3, 30), d=st.integers(2, 6))
def test_where_and_how_the_features_lie_changes_nothing(measure, seed, n, d):
    """Neither a shift nor a rotation of all of them, nor the order of the images."""
    real, other = drawn(n, d, seed), drawn(n, d, seed + 1) + 0.5
    turn, _ = torch.linalg.qr(drawn(d, d, seed + 2))
    expected = pytest.approx(measure(real, other), abs=1e-6)
    assert measure(real @ turn + 3, other @ turn + 3) == expected
    assert measure(real.flip(0), other.roll(1, 0)) == expected


@given(seed=st.integers(0, 2**32), n=st.integers(3, 30), d=st.integers(2, 6))
def test_frechet_distance_is_symmetric_and_zero_for_the_same_set(seed, n, d):
    real, other = drawn(n, d, seed), drawn(n, d, seed + 1)
    there, back = frechet_distance(real, other), frechet_distance(other, real)
    assert there == pytest.approx(back, abs=1e-6)
    assert there >= -1e-9
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("pairs", [1, 7, 50, 10**6])
def test_kernel_distance_has_so_many_pairs_in_memory_at_once(pairs, monkeypatch):
    """Tens of thousands of images have billions of pairs. What is left of a block counts too."""
    real, other = drawn(9, 30), drawn(13, 30, seed=1) + 0.1
    whole, seen, cdist = kernel_distance(real, other), [], torch.cdist

    def watched(one: Tensor, two: Tensor) -> Tensor:
        seen.append(len(one) * len(two))
        return cdist(one, two)

    monkeypatch.setattr(distances, "PAIRS", pairs)
    monkeypatch.setattr(torch, "cdist", watched)
    assert kernel_distance(real, other) == pytest.approx(whole, abs=1e-12)
    assert sum(seen) == 9 * 9 + 13 * 13 + 9 * 13
    assert max(seen) <= max(pairs, 13)  # a row at least
