import pytest
import torch
from torch import nn

from regl_core import models
from regl_core.errors import ReglError


def small(seed: int = 0, **changes) -> nn.Module:
    usual = dict(name="resnet_small", classes=10, width=16, side=16)
    return models.build(**{**usual, **changes}, seed=seed)


def parameters(net: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_resnet_small_has_the_size_it_says():
    net = small()
    assert sum(p.numel() for p in net.parameters()) == 308_826
    assert net(torch.zeros(4, 3, 16, 16)).shape == (4, 10)
    assert not any(isinstance(module, nn.MaxPool2d) for module in net.modules())
    assert small(classes=7, width=8)(torch.zeros(2, 3, 16, 16)).shape == (2, 7)


@pytest.mark.parametrize("side, last", [(16, 2), (24, 3), (32, 4)])
def test_the_stem_and_two_stages_halve_the_side(side, last):
    net, seen = small(side=side), []
    for part in (net.bn1, net.layer1, net.layer2, net.layer3, net.layer4):
        part.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[1:]))
    net(torch.zeros(2, 3, side, side))
    sides = (4 * last, 4 * last, 2 * last, last, last)
    assert seen == [(c, s, s) for c, s in zip((16, 16, 32, 64, 128), sides, strict=True)]


def test_both_networks_call_their_parts_the_same():
    paper = models.build("resnet34", classes=10, width=64, side=64, seed=0)
    for net in (small(), paper):
        names = {name for name, _ in net.named_children()}
        assert {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"} <= names
    assert paper(torch.zeros(2, 3, 64, 64)).shape == (2, 10)


@pytest.mark.parametrize("name, width, side", [("resnet_small", 16, 16), ("resnet34", 64, 40)])
def test_a_batch_of_one_can_be_trained_on(name, width, side):
    net = models.build(name, classes=10, width=width, side=side, seed=0).train()
    net(torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_the_seed_alone_decides_the_weights():
    first = parameters(small())
    torch.manual_seed(123)
    assert torch.equal(parameters(small()), first)
    assert not torch.equal(parameters(small(seed=1)), first)


def test_building_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    small()
    models.build("resnet34", classes=10, width=64, side=64, seed=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(ReglError, match=r"training\.model.*did you mean resnet34.*resnet_small"):
        small(name="resnet35")


@pytest.mark.parametrize("name, width, side", [("resnet_small", 16, 8), ("resnet34", 64, 32)])
def test_images_too_small_are_refused(name, width, side):
    with pytest.raises(ReglError, match="image_side: given"):
        models.build(name, classes=10, width=width, side=side, seed=0)


def test_resnet34_has_one_width():
    with pytest.raises(ReglError, match=r"training\.width: given 16, expected 64"):
        models.build("resnet34", classes=10, width=16, side=64, seed=0)


@pytest.mark.parametrize("width", [4, 12, 17])
def test_widths_that_crash_torch_are_refused(width):
    with pytest.raises(
        ReglError, match=rf"training\.width: given {width}, expected a multiple of 8"
    ):
        models.build("resnet_small", classes=10, width=width, side=16, seed=0)
