"""pFedGate."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from ..seeds import derive
from .partial import PartlyLocal


class PFedGate(PartlyLocal):
    """A client's own gate scales and prunes the global model θ anew for every batch.

    r = mean over the batch of σ(BatchNorm(linear(SwitchNorm(images)))), a score per sub-block;
    m ∈ {0, 1} keeps the sub-blocks of highest r that fit into the share s of the parameters;
    θ̂ = m·r·θ;  gate and θ together descend the loss of θ̂;  θ ← Σ p_i θ_i, the gate stays.

    Chen et al., "Efficient personalized federated learning via sparse model-adaptation", 2023;
    code: yxdyc/pFedGate. Every tensor of θ is cut into `blocks` runs of equal length, the last as
    short as it comes. The first run is always kept, so that no layer is cut through; the others
    compete for what is left of the share, by their r in tenths: finer differences between batches
    leave m alone. Pruning has no gradient; in the backward pass m of a kept block stands for its
    r ("straight-through"), where r is above the floor, max(1/blocks, 0.1) or s if less. Hence
    ∂θ̂/∂r = m·(1 + r)·θ there. At s = 1 nothing is pruned, and ∂θ̂/∂r = θ.

    Defaults as in the authors' script for EMNIST. It gives gate and model the same learning rate,
    0.1; here both have the rate of training. Other shares and data have other rates there, often
    one for each, from 0.01 to 1.5. The gate's gradient is clipped to norm 10, as there.

    Deviations. (1) All sub-blocks compete in one knapsack, of equal r the smaller first. In the
    authors' code those of linear layers and the others have one each, and of equal r any can be
    first: nearly all parameters of its networks are in linear layers, and the small output
    layer stays whole. A ResNet's only linear layer is its output, which would lose classes.
    (2) The share s is filled; that code grants the sub-blocks that compete s − floor of their own
    size, which keeps 44 % of the parameters at s = 0.5; and it ranks r below the floor as equal.
    (3) That code also clips the model's gradient, keeps both optimisers between rounds, averages
    in the models of clients not selected, and tests a selected client with the θ_i it has just
    trained; here these are as for every method, and a client is tested with the mean. (4) There
    the gate reads images of 28 or 32 pixels; here, images pooled to `gate_side` pixels: those of
    that side stay as they are, smaller ones have pixels repeated. (5) Some of its scripts lower
    the rates as training goes on, and some give the gate a second layer, so that one ranks the
    blocks and the other scales them. (6) Its networks have no BatchNorm; here running statistics
    are averaged, though clients have different gates.

    A client keeps its gate, 3·gate_side² + 5 numbers per sub-block: 0.08 of a ResNet34, but more
    than a small network itself, where `gate_side` should be the images' side at most. One never
    selected has the initial gate, the same for all, and so has the global model. In evaluation,
    too, r is a mean over the batch, though both norms then use running statistics: accuracy can
    depend on which images are evaluated together. A batch of one image, which the authors leave
    out, is here as everywhere taken twice; all its scores are then those of the norm's bias.
    """

    name = "pFedGate"
    candidates = ("share", (0.25, 0.5, 0.75, 1.0))
    share: float = Field(0.5, gt=0, le=1, description="s, parameters kept; official script")
    blocks: int = Field(5, ge=2, description="sub-blocks per tensor; official script")
    gate_side: int = Field(
        32, ge=2, description="pixels of the gate's images; official networks, 28 or 32"
    )

    def network(self, net: nn.Module, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(seed, "gate"))
            gated = Gated(net, self.share, self.blocks, self.gate_side)
        first = next(net.parameters())
        return gated.to(first.device, first.dtype)

    def correct(self, net: nn.Module, context: Any) -> None:
        nn.utils.clip_grad_norm_(net.gate.parameters(), 10.0)

    def local(self, net: nn.Module) -> Callable[[str], bool]:
        return lambda name: name.startswith("gate.")


class Gated(nn.Module):
    """`net`, whose parameters are scaled and pruned by what `gate` says of the batch."""

    sees_batches = True  # in evaluation too

    def __init__(self, net: nn.Module, share: float, blocks: int, side: int) -> None:
        super().__init__()
        self.net, self.share, self.floor = net, share, min(max(1 / blocks, 0.1), share)
        self.runs: dict[str, tuple[slice, int]] = {}  # of a tensor: its sub-blocks, their length
        self.sizes: list[int] = []  # of all sub-blocks
        competing: list[int] = []
        for name, parameter in net.named_parameters():
            count, first = parameter.numel(), len(self.sizes)
            length = -(-count // min(blocks, count))
            self.sizes += [min(length, count - begin) for begin in range(0, count, length)]
            self.runs[name] = slice(first, len(self.sizes)), length
            competing += range(first + 1, len(self.sizes))
        self.competing = sorted(competing, key=self.sizes.__getitem__)
        always = sum(self.sizes) - sum(self.sizes[block] for block in competing)
        self.capacity = round(share * sum(self.sizes)) - always
        channels = next((m.in_channels for m in net.modules() if isinstance(m, nn.Conv2d)), 3)
        self.gate = Gate(channels, side, len(self.sizes))

    def forward(self, images: Tensor) -> Tensor:
        return functional_call(self.net, self.adapted(images), (images,))

    def adapted(self, images: Tensor) -> dict[str, Tensor]:
        """θ̂ for this batch, by the names of `net`."""
        with torch.autocast(images.device.type, enabled=False):  # scores decide what is pruned
            factors = self.factors(self.gate(images))
        return {
            name: parameter
            * factors[run].repeat_interleave(length)[: parameter.numel()].view_as(parameter)
            for (name, parameter), (run, length) in zip(
                self.net.named_parameters(), self.runs.values(), strict=True
            )
        }

    def factors(self, scores: Tensor) -> Tensor:
        """m·r of every sub-block."""
        if self.share == 1:
            return scores
        through = scores.clamp(min=self.floor)
        return self.kept(scores) * (1 + (through - through.detach())) * scores

    def kept(self, scores: Tensor) -> Tensor:
        """m, greedily: by falling score in tenths, then size, every sub-block that still fits."""
        tenths = (10 * scores).round().tolist()
        kept, left = [1.0] * len(tenths), self.capacity
        for block in sorted(self.competing, key=tenths.__getitem__, reverse=True):
            if self.sizes[block] <= left:
                left -= self.sizes[block]
            else:
                kept[block] = 0.0
        return scores.new_tensor(kept)


class Gate(nn.Module):
    """Scores in (0, 1), float (outputs,), of a batch of images (n, channels, any side)."""

    def __init__(self, channels: int, side: int, outputs: int) -> None:
        super().__init__()
        self.side = side
        self.inputs = SwitchNorm(channels)
        self.linear = nn.Linear(channels * side**2, outputs)
        self.outputs = nn.BatchNorm1d(outputs)

    def forward(self, images: Tensor) -> Tensor:
        images = self.inputs(F.adaptive_avg_pool2d(images, self.side))
        return self.outputs(self.linear(images.flatten(1))).sigmoid().mean(0)


class SwitchNorm(nn.Module):
    """Normalises by a learnt mix of instance, layer and batch statistics (Luo et al. 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.mean_shares, self.var_shares = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
        self.register_buffer("running_mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("running_var", torch.zeros(1, channels, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        var, mean = torch.var_mean(images, (2, 3), keepdim=True)  # of each image and channel
        layer_var, layer_mean = pooled(var, mean, 1)
        batch_var, batch_mean = self.running_var, self.running_mean
        if self.training:
            batch_var, batch_mean = pooled(var, mean, 0)
            self.running_var.lerp_(batch_var.detach(), 0.1)
            self.running_mean.lerp_(batch_mean.detach(), 0.1)
        a, b, c = self.mean_shares.softmax(0)
        mean = a * mean + b * layer_mean + c * batch_mean
        a, b, c = self.var_shares.softmax(0)
        var = a * var + b * layer_var + c * batch_var
        return (images - mean) * (var + 1e-5).rsqrt() * self.weight + self.bias


def pooled(var: Tensor, mean: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Variance and mean over `axis` too, from those of its equal parts."""
    between, mean = torch.var_mean(mean, axis, correction=0, keepdim=True)
    return var.mean(axis, keepdim=True) + between, mean
