"""FedAlign: by hand, against FedAvg, and which weights its term may reach."""

import math
from collections import OrderedDict

import pytest
import torch
from method_cases import ONE_STEP
from torch import nn
from torchvision.models.resnet import BasicBlock
from toy_clients import same, settings

from regl_core.clients import ClientData
from regl_core.errors import ReglError
from regl_core.evidence.identities import gap
from regl_core.federation import federate
from regl_core.methods import FedAvg, Round, Server, Task
from regl_core.methods.fedalign import FedAlign, Student, first
from regl_core.methods.spectral import by_place
from regl_core.models import ResNetSmall, build
from regl_core.training import cross_entropy
from regl_core.weights import Weights


def client(count: int, seed: int = 0, side: int = 16) -> ClientData:
    draw = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, side, side, generator=draw)
    return ClientData(images, torch.randint(3, (count,), generator=draw))


def network() -> ResNetSmall:
    return build("resnet_small", 3, 8, 16, seed=0)


TEST = client(4, seed=99)
DATA = [client(5, 0), client(9, 1), client(0), client(3, 2)]


def run(method, data=DATA, checkpoint=None, tick=lambda fraction: None, **changes):
    values = {"rounds": 2, "local_epochs": 1} | changes
    return federate(method, network(), data, TEST, settings(**values), 0, tick, checkpoint)


def context(method, net):
    weights = Weights.of(net)
    now = Round(0, 0, net, settings(), 1, (3, 16, 16))
    return method.prepare(Task(now, 0, 1, Server(weights, {}), {}, weights))


def value(method, net, data) -> torch.Tensor:
    """The loss of one batch."""
    return method.loss(net, data.images, data.labels, context(method, net))


def gradients(method, net, data, clip=1e9) -> dict[str, torch.Tensor]:
    """What the optimiser would see, not clipped unless asked for."""
    method = method.model_copy(update={"clip": clip})
    prepared = context(method, net)
    net.zero_grad()
    method.loss(net, data.images, data.labels, prepared).backward()
    method.correct(net, prepared)
    return {name: p.grad.clone() for name, p in net.named_parameters()}


def transmitting_matrix(inputs: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """T of each image, (n, C_in, C_out), as the class says it."""
    a, b = by_place(inputs, output)
    return a @ b.mT / b.shape[2]


def kept(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Which entries of a parameter of layer4 the student has: a quarter along each channel."""
    mask = torch.zeros_like(tensor, dtype=torch.bool)
    quarter = [slice(size // 4) for size in tensor.shape[:2]]
    mask[tuple(quarter)] = True
    return mask


def test_one_round_of_two_clients_by_hand():
    """One input channel x, layer4 with 32 outputs w·x, all w = c = ½, logits 0, hence CE = ln 2.

    T_t = x² (c, …, c) has σ = x² c √32; the student has 8 outputs, σ = x² c √8. So
    ℓ = c² m (√8 − √32)² = 8 c² m with m the mean of x⁴, and for the first 8 weights
    ∂ℓ/∂w = 2 m c (√8 − √32)/√8 = −2 m c. Scaled by μ·CE/ℓ: −μ ln 2 / (4 c), whatever x is.
    CE gives layer4 nothing, as the logits are 0, and row k of the classifier (½ − [y = k]) c x.
    """
    net = nn.Sequential(
        OrderedDict(
            layer4=nn.Conv2d(1, 32, 1, bias=False), flat=nn.Flatten(), fc=nn.Linear(32, 2, False)
        )
    )
    nn.init.constant_(net.layer4.weight, 0.5)
    nn.init.zeros_(net.fc.weight)
    pixels = torch.tensor([1.0, 1.0, 2.0, 3.0]).reshape(4, 1, 1, 1)
    two = [ClientData(pixels[:1], torch.tensor([0])), ClientData(pixels[1:], torch.ones(3).long())]
    one_step = settings(**ONE_STEP)
    weights = federate(FedAlign(mu=0.4), net, two, two[0], one_step, seed=0).weights.params
    moved = 0.5 + 0.1 * 0.4 * math.log(2) / (4 * 0.5)
    expected = [moved] * 8 + [0.5] * 24
    assert weights["layer4.weight"].flatten().tolist() == pytest.approx(expected, abs=1e-6)
    # 1/4 · 0.1 · ½ · ½ · 1 for the first client, − 3/4 · 0.1 · ½ · ½ · 2 for the second.
    class_0 = 0.25 * 0.025 - 0.75 * 0.05
    assert weights["fc.weight"][0].tolist() == pytest.approx([class_0] * 32, abs=1e-6)


def test_the_student_sees_the_first_quarter_of_the_input_and_the_teacher_all_of_it():
    """The term composed from its parts, for a block of 32 channels in and 64 out."""
    net = nn.Sequential(
        OrderedDict(layer4=_block(32, 64), flat=nn.Flatten(), fc=nn.Linear(64 * 16, 2))
    )
    images = torch.rand(5, 32, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 1, 0, 1])
    on, off = (gradients(FedAlign(mu=mu), net, ClientData(images, labels)) for mu in (1.0, 0.0))
    student = Student.of(net.layer4, 0.25)
    narrow = student(images[:, :8])
    norms = (
        torch.linalg.matrix_norm(transmitting_matrix(*pair), 2)
        for pair in ((images[:, :8], narrow), (images, net.layer4(images).detach()))
    )
    term = (next(norms) - next(norms)).square().mean()
    scale = cross_entropy(net, images, labels).item() / term.item()
    weights = dict(student.slim.named_parameters())
    by_weights = torch.autograd.grad(scale * term, list(weights.values()))
    for name, gradient in zip(weights, by_weights, strict=True):
        change = on[f"layer4.{name}"] - off[f"layer4.{name}"]
        part = change[tuple(slice(size) for size in gradient.shape)]
        assert torch.allclose(part, gradient, rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize(
    "channels,width,kept",
    [
        (32, 0.25, 8),
        (16, 0.25, 8),
        (80, 0.25, 24),
        (40, 0.5, 24),
        (44, 0.25, 16),
        (208, 0.25, 56),
        (5, 0.25, 5),
    ],
)
def test_channels_of_the_student(channels, width, kept):
    """A half is rounded up: 52 to 56. More than a tenth below is too few.

    So 16 for 20 becomes 24, and 8 for 11 becomes 16.
    """
    weight = nn.Conv2d(8, channels, 1).weight
    assert first(weight, width, 0).shape == (kept, 8, 1, 1)


def test_the_student_is_the_block_with_fewer_channels():
    """The weights of the first channels, put into a narrow block, give the same output.

    Also when the block was in eval mode, as it is after a round.
    """
    wide = nn.Sequential(_block(32, 64), _block(64, 64))
    narrow = nn.Sequential(_block(8, 16), _block(16, 16))
    with torch.no_grad():
        for small, large in zip(narrow.parameters(), wide.parameters(), strict=True):
            large.copy_(torch.randn(large.shape, generator=torch.Generator().manual_seed(1)))
            small.copy_(large[tuple(slice(size) for size in small.shape)])
    inputs = client(3, side=4).images.repeat(1, 11, 1, 1)[:, :8]
    student = Student.of(wide.eval(), 0.25)
    assert torch.allclose(student(inputs), narrow(inputs), atol=1e-5)
    with torch.no_grad():
        for weight in (*wide.parameters(), *narrow.parameters()):
            weight *= 0.9
    assert torch.allclose(student(inputs), narrow(inputs), atol=1e-5)  # it follows the block


def test_each_step_has_the_gradient_of_its_own_batch():
    """One student serves a whole turn."""
    net, batches = network(), [client(6, 1), client(5, 2)]
    method = FedAlign(clip=1e9)
    prepared = context(method, net)
    for data in batches:
        net.zero_grad()
        method.loss(net, data.images, data.labels, prepared).backward()
        method.correct(net, prepared)
    found = {name: p.grad.clone() for name, p in net.named_parameters()}
    expected = gradients(method, net, batches[1])
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def _block(inputs: int, outputs: int) -> BasicBlock:
    shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
    return BasicBlock(inputs, outputs, 1, shortcut if inputs != outputs else None)


def test_the_term_has_the_size_of_mu_times_cross_entropy():
    net, data = network(), client(6)
    supervised = cross_entropy(net, data.images, data.labels).item()
    assert value(FedAlign(mu=0.3), net, data).item() == pytest.approx(1.3 * supervised, abs=1e-5)


@pytest.mark.parametrize(("name", "width", "side"), [("resnet_small", 8, 16), ("resnet34", 64, 33)])
def test_only_the_students_part_of_the_block_moves(name, width, side):
    """The teacher and the block's input are detached, and so is the factor CE/ℓ."""
    net, data = build(name, 3, width, side, seed=0), client(3, side=side)
    on, off = (gradients(FedAlign(mu=mu), net, data) for mu in (0.45, 0.0))
    for name in on:
        change = on[name] - off[name]
        part = kept(name, change) & name.startswith("layer4")
        assert not change[~part].any()
        assert not part.any() or change[part].abs().max() > 0


def test_running_statistics_move_at_full_width_only():
    net, other, data = network(), network(), client(6)
    value(FedAlign(), net, data)
    cross_entropy(other, data.images, data.labels)
    assert same(Weights.of(net), Weights.of(other))
    one_step = {"rounds": 1, "batch_size": 100}
    align, fedavg = (run(method, **one_step).weights for method in (FedAlign(), FedAvg()))
    assert same(Weights({}, align.buffers), Weights({}, fedavg.buffers))
    assert not same(align, fedavg)


def test_without_its_term_it_is_fedavg():
    align, fedavg = run(FedAlign(mu=0.0, clip=1e9)), run(FedAvg())
    assert same(align.weights, fedavg.weights) and align.accuracy == fedavg.accuracy


def test_at_full_width_the_term_vanishes():
    align, fedavg = (run(m, rounds=1) for m in (FedAlign(width=1.0, clip=1e9), FedAvg()))
    assert gap(align.weights, fedavg.weights) < 1e-6


def test_the_norm_of_the_whole_gradient_is_clipped():
    net, data = network(), client(6)
    with torch.no_grad():
        net.fc.weight *= 1e3
    before = gradients(FedAlign(), net, data)
    assert _norm(before.values()) > 10
    after = gradients(FedAlign(), net, data, clip=10.0)
    assert _norm(after.values()) == pytest.approx(10.0, rel=1e-4)
    ratio = 10 / _norm(before.values())
    assert all(torch.allclose(after[n], before[n] * ratio, rtol=1e-4) for n in after)


def _norm(tensors) -> float:
    return torch.stack([tensor.square().sum() for tensor in tensors]).sum().sqrt().item()


def test_features_that_are_all_zero_give_no_term():
    net = nn.Sequential(
        OrderedDict(layer4=nn.Conv2d(1, 32, 1, bias=False), flat=nn.Flatten(), fc=nn.Linear(32, 2))
    )
    blank = ClientData(torch.zeros(2, 1, 1, 1), torch.tensor([0, 1]))
    on, off = (gradients(FedAlign(mu=mu), net, blank) for mu in (0.45, 0.0))
    assert all(torch.equal(on[name], off[name]) for name in on)


def test_a_network_without_the_last_block_is_refused():
    with pytest.raises(ReglError, match=r"FedAlign.*layer4"):
        FedAlign().network(nn.Linear(4, 3), seed=0)


MUTATIONS = (
    (
        "gradient through the block's input",
        "(features.detach() for features in seen)",
        "(features for features in seen)",
    ),
    (
        "the student moves the running statistics",
        "corner(buffer, width).clone()",
        "corner(buffer, width)",
    ),
    (
        "the factor CE/ℓ is not held constant",
        "supervised.detach() / apart.detach()",
        "supervised / apart",
    ),
    ("the term is not scaled to CE", "self.mu * scale * apart", "self.mu * apart"),
    ("a term of nothing has a factor", ".clamp_min(_TINY)", ""),
    ("no clipping", "if norm > self.clip:", "if False:"),
    ("the norm of the gradient of CE", "        student.add_gradient()\n", ""),
    (
        "the student has all channels",
        "tensor.narrow(dim, 0, min(channels, kept + 8 * (kept < 0.9 * share)))",
        "tensor",
    ),
    ("a half is rounded down", "int(share / 8 + 0.5)", "round(share / 8)"),
    ("more than a tenth of the share is lost", "kept + 8 * (kept < 0.9 * share)", "kept"),
    (
        "the student's matrix is of all of the input",
        "student(part), part,",
        "student(part), inner,",
    ),
    ("the teacher sees a part of the input", "(inner, outer), self", "(part, outer), self"),
    (
        "the student has the weights of the first step",
        "torch._foreach_copy_(self.narrow, self.views)",
        "pass",
    ),
    ("gradients of all steps add up", "weight.grad = None", "pass"),
    ("the student is evaluated", "instead).train()", "instead)"),
)
