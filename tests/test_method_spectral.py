"""FedAlign's spectral norms: by hand, against the plain power method and autograd through it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from regl_core.methods.spectral import SpectralGap


def plain(inputs: Tensor, output: Tensor, steps: int) -> Tensor:
    """σ of T = ABᵀ/HW, one product after the other, normalised each time; autograd goes through."""
    pooled = F.adaptive_avg_pool2d(inputs, output.shape[2:])
    matrices = pooled.flatten(2) @ output.flatten(2).mT / output[0, 0].numel()
    vectors = matrices.new_ones(len(matrices), matrices.shape[1], 1)
    for _ in range(steps):
        vectors = matrices @ (matrices.mT @ vectors)
        value = vectors.norm(dim=1, keepdim=True)
        vectors = vectors / value
    return value.sqrt().flatten()


def spectral_norms(inputs: Tensor, output: Tensor, steps: int) -> Tensor:
    """σ of each image, (n,): how far it is from a teacher's that puts out nothing."""
    each = zip(inputs.split(1), output.split(1), strict=True)
    alone = [SpectralGap.apply(b, a, (a, torch.zeros_like(b)), steps) for a, b in each]
    return torch.stack(alone).sqrt()


def features(channels: int, size: tuple[int, int], seed: int = 0, count: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, *size, generator=draw, dtype=torch.float64)


def places(matrix: Tensor) -> Tensor:
    """C × HW as one image of one row."""
    return matrix[None, :, None]


def test_by_hand_and_in_the_limit():
    """A = I, B = diag(4, 2) at two places: T = diag(2, 1), T·Tᵀ = diag(4, 1).

    From (1, 1) to (4, 1), then to (16, 1), (64, 1).
    """
    inputs, output = places(torch.eye(2)), places(torch.diag(torch.tensor([4.0, 2.0])))
    for steps, square in (1, 17**0.5), (2, (257 / 17) ** 0.5), (3, (4097 / 257) ** 0.5):
        found = spectral_norms(inputs, output, steps)
        assert found.item() == pytest.approx(square**0.5, abs=1e-6)
    inputs, output = features(6, (1, 7)).abs(), features(9, (1, 7), 1).abs()
    exact = torch.linalg.svdvals(inputs.flatten(2) @ output.flatten(2).mT / 7)[:, 0]
    assert torch.allclose(spectral_norms(inputs, output, 10), exact, rtol=1e-5)


def test_the_input_is_pooled_to_the_size_of_the_output():
    """Of one channel each, σ is |Σ a b| / HW: a is 2, 0 over 2, 2 when pooled."""
    inputs = torch.tensor([[1.0, 3.0, 0.0, 0.0], [1.0, 3.0, 0.0, 4.0]]).repeat_interleave(2, 0)
    inputs[2:, 2:] = 2.0
    output = torch.tensor([[5.0, 7.0], [0.0, 6.0]])
    found = spectral_norms(inputs[None, None], output[None, None], 10)
    assert found.item() == pytest.approx((2 * 5 + 0 * 7 + 2 * 0 + 2 * 6) / 4)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 6)])
@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_it_is_the_plain_power_method(size, steps):
    """With fewer places than channels and with more."""
    inputs, output = features(5, (2 * size[0], size[1])), features(8, size, 1)
    found, expected = (method(inputs, output, steps) for method in (spectral_norms, plain))
    assert torch.allclose(found, expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 6)])
@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_the_gradient_is_that_through_the_plain_power_method(size, steps):
    """Student and teacher differ in channels, and the block may halve the side."""
    inputs, output = features(5, (2 * size[0], size[1])), features(8, size, 1).requires_grad_()
    teacher = features(7, (2 * size[0], size[1]), 2), features(9, size, 3)

    def ours(output: Tensor) -> Tensor:
        return SpectralGap.apply(output, inputs, teacher, steps)

    apart = F.mse_loss(plain(inputs, output, steps), plain(*teacher, steps))
    assert ours(output).item() == pytest.approx(apart.item(), rel=1e-10)
    (found,), (expected,) = (
        torch.autograd.grad(3 * value, output) for value in (ours(output), apart)
    )
    assert torch.allclose(found, expected, rtol=1e-8, atol=1e-12)
    assert torch.autograd.gradcheck(ours, (output,))


def test_features_in_either_order_of_memory():
    student, inputs = features(8, (3, 2)).requires_grad_(), features(5, (3, 2), 1)
    teacher = features(5, (3, 2), 2), features(16, (3, 2), 3)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        pair = tuple(one.contiguous(memory_format=layout) for one in teacher)
        value = SpectralGap.apply(
            student.contiguous(memory_format=layout),
            inputs.contiguous(memory_format=layout),
            pair,
            10,
        )
        found.append((value, *torch.autograd.grad(value, student)))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1e3, 1e8])
def test_features_of_any_size(size):
    """One eigenvalue above all others, or all alike: scaled powers are largest, and smallest."""
    draw = torch.Generator().manual_seed(0)
    alike = torch.eye(196).reshape(1, 196, 14, 14)
    for inputs in torch.rand(2, 256, 14, 14, generator=draw), alike:
        output = (size * inputs).requires_grad_()
        exact = torch.linalg.matrix_norm(
            inputs.flatten(2).double() @ output.flatten(2).double().mT, 2
        )
        found = spectral_norms(inputs, output.detach(), 10)
        assert found.tolist() == pytest.approx((exact / 196).tolist(), rel=1e-4)
        value = SpectralGap.apply(output, inputs, (inputs, 2 * output.detach()), 10)
        assert torch.autograd.grad(value, output)[0].isfinite().all()


def test_features_that_are_zero_have_no_norm_and_no_gradient():
    """Of three images one has no inputs, one no outputs; the third has its norm nonetheless."""
    inputs, output = torch.ones(3, 5, 2, 2), torch.ones(3, 6, 2, 2)
    inputs[0], output[1] = 0, 0
    found = spectral_norms(inputs, output, 10)
    assert found.tolist() == pytest.approx([0, 0, 30**0.5], abs=1e-6)
    other = torch.ones(3, 5, 2, 2), torch.ones(3, 7, 2, 2)
    value = SpectralGap.apply(output.requires_grad_(), inputs, other, 10)
    (gradient,) = torch.autograd.grad(value, output)
    assert gradient.isfinite().all() and not gradient[:2].any() and gradient[2].all()


def test_nothing_else_has_a_gradient():
    student, inputs, *teacher = (features(8, (2, 2), seed).requires_grad_() for seed in range(4))
    SpectralGap.apply(student, inputs, tuple(teacher), 10).backward()
    assert student.grad is not None
    assert all(one.grad is None for one in (inputs, *teacher))


def test_under_autocast_it_is_float32():
    """Products in bfloat16 would be off by a percent."""
    student, inputs, *teacher = (features(8, (2, 2), seed).float() for seed in range(4))
    teacher, found = tuple(teacher), []
    for enabled in (False, True):
        output = student.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            value = SpectralGap.apply(output, inputs, teacher, 10)
        value.backward()
        found.append((value, output.grad))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    with torch.autocast("cpu", torch.bfloat16):
        half = student.bfloat16().requires_grad_()
        value = SpectralGap.apply(half, inputs.bfloat16(), tuple(t.bfloat16() for t in teacher), 10)
    value.backward()
    assert value.dtype == torch.float32 and half.grad.dtype == torch.bfloat16
    assert half.grad.isfinite().all()


MUTATIONS = (
    (
        "eigenvalues in place of singular values",
        "(scale * (last / before).sqrt()).sqrt() / places",
        "(scale * (last / before).sqrt()) / places",
    ),
    ("a step of the power method too few", "range(2 * steps - 1)", "range(max(2, 2 * steps - 3))"),
    (
        "powers that are not scaled",
        "scale = (inner * outer).sum((1, 2), keepdim=True) * places**-0.5 + _TINY",
        "scale = torch.ones_like(start[:, :1])",
    ),
    ("not the mean over the places", ".sqrt()).sqrt() / places", ".sqrt()).sqrt()"),
    (
        "the largest in place of the mean of the input",
        "F.adaptive_avg_pool2d",
        "F.adaptive_max_pool2d",
    ),
    (
        "student and teacher change places",
        "apart = student - norms[n:]",
        "apart = norms[n:] - student",
    ),
    (
        "the gradient of the last power alone",
        "by_g -= bmm(forth[:, :, :-2], back[:, :, 2:].mT) / before[:n]",
        "pass",
    ),
    (
        "half the gradient",
        "student * apart / (n * scale[:n])",
        "student * apart / (2 * n * scale[:n])",
    ),
    ("products in bfloat16", '@custom_fwd(device_type="cpu", cast_inputs=torch.float32)\n    ', ""),
)
