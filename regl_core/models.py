"""Image classifiers, always from a seeded random initialisation, never pretrained."""

import torch
from torch import Tensor, nn

from .engine import not_in_key
from .errors import ReglError
from .seeds import derive
from .settings import nearest, shown


class ResNetSmall(nn.Module):
    """A residual network for small images: four stages of one block (He et al. 2016).

    The stem is a 3 × 3 convolution that halves the side, as the shipped digits are of 8 pixels,
    doubled; there is no max-pooling. The stages have `width` × (1, 2, 4, 8) channels, the second
    and the third halve the side. Global average pooling and one linear layer follow. Layers are
    named as in torchvision's ResNets, so that a method finds the head (`fc`) and the last stage
    (`layer4`) of either by the same name.

    Input float (n, 3, side, side), output logits float (n, classes).
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 2 * width, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, stride=1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        # Channels-last activations make a training step on a CPU about a tenth faster.
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def build(name: str, classes: int, width: int, side: int, seed: int) -> nn.Module:
    """A new network in training mode, on the CPU; the same seed gives the same weights.

    Parameters
    ----------
    name
        "resnet_small" (`ResNetSmall`) or "resnet34" (torchvision's, the paper's Sec. 5.1).
    width
        Channels of the first stage; torchvision fixes those of "resnet34" at 64.
    side
        Of the images, in pixels. The last stage must keep more than one pixel: with one,
        BatchNorm cannot train on a batch of a single image.

    Raises
    ------
    ReglError
        Unknown name, a width that the network cannot have, or images too small for it.
    """
    check(name, width, side)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would seed the accelerators' generators too, for good.
        torch.default_generator.manual_seed(derive(seed, "model"))
        if name == "resnet34":
            from torchvision.models.resnet import resnet34  # two seconds of imports

            return resnet34(weights=None, num_classes=classes)
        return ResNetSmall(classes, width)


@not_in_key
def check(name: str, width: int, side: int) -> None:
    """ReglError where `build` has no such network."""
    reductions = {"resnet_small": 8, "resnet34": 32}
    if name not in reductions:
        raise ReglError(
            f"training.model: given {shown(name)}{nearest(name, reductions)}, expected one of "
            f"{', '.join(reductions)}"
        )
    if side <= reductions[name]:
        raise ReglError(
            f"image_side: given {side}, expected more than {reductions[name]} pixels for the model "
            f"{name}, which reduces the side {reductions[name]} times"
        )
    if name == "resnet34" and width != 64:
        raise ReglError(f"training.width: given {width}, expected 64 for the model resnet34")
    if width % 8:
        # With other widths the CPU convolutions of torch 2.14.1 write past their buffers when
        # activations are channels-last: the process dies with "double free or corruption".
        raise ReglError(f"training.width: given {width}, expected a multiple of 8")


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    from torchvision.models.resnet import BasicBlock  # two seconds of imports

    shortcut = None
    if inputs != outputs or stride != 1:
        shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )
    return nn.Sequential(BasicBlock(inputs, outputs, stride, shortcut))
