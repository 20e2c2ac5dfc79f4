"""A network's weights as a value: trainable parameters and buffers, apart by type.

An optimiser or a control variate works on `params` through `combine`, which cannot reach
BatchNorm's running statistics: those are `buffers`, and only `mean` ever averages them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .errors import ReglError


@dataclass(frozen=True)
class Weights:
    """Named tensors, or a part of them; never changed in place.

    Attributes
    ----------
    params
        Trainable parameters by name, floating point.
    buffers
        The rest of the network's state, such as BatchNorm's running mean and variance
        (floating point) and its count of batches (int64).
    """

    params: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]

    @classmethod
    def of(cls, net: nn.Module) -> "Weights":
        """A copy of the weights of `net`: later training does not change it."""
        return Live.of(net).weights()

    @property
    def bytes(self) -> int:
        """Size of all tensors."""
        return sum(tensor.nbytes for tensor in (*self.params.values(), *self.buffers.values()))

    def into(self, net: nn.Module) -> None:
        """Copy these weights into `net`. ReglError unless names and shapes are those of `net`."""
        Live.of(net).become(self)

    def to(self, device: torch.device) -> "Weights":
        """The same weights on `device`; tensors that are there already are not copied."""
        return Weights(
            {name: tensor.to(device) for name, tensor in self.params.items()},
            {name: tensor.to(device) for name, tensor in self.buffers.items()},
        )

    def __or__(self, other: "Weights") -> "Weights":
        """These weights, replaced by those of `other` where it has the name."""
        return Weights({**self.params, **other.params}, {**self.buffers, **other.buffers})

    def select(self, wanted: Callable[[str], bool]) -> "Weights":
        """The weights whose full name, such as ``"layer1.0.bn1.weight"``, is wanted."""
        return Weights(
            {name: tensor for name, tensor in self.params.items() if wanted(name)},
            {name: tensor for name, tensor in self.buffers.items() if wanted(name)},
        )


@dataclass(frozen=True)
class Live:
    """The tensors of a network, which change with it; for one that is read and written often.

    In a small network it takes as long to find them as to copy them.
    """

    kind: str
    params: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]

    @classmethod
    def of(cls, net: nn.Module) -> "Live":
        """Those of `net`, of which none may be replaced by another tensor."""
        return cls(type(net).__name__, dict(net.named_parameters()), dict(net.named_buffers()))

    @torch.no_grad()
    def weights(self) -> Weights:
        """As `Weights.of`."""
        return Weights(
            {name: tensor.clone() for name, tensor in self.params.items()},
            {name: tensor.clone() for name, tensor in self.buffers.items()},
        )

    @torch.no_grad()
    def become(self, weights: Weights) -> None:
        """As `Weights.into`."""
        for kind, live, own in (
            ("parameter", self.params, weights.params),
            ("buffer", self.buffers, weights.buffers),
        ):
            for name in live.keys() | own.keys():
                if name not in live or name not in own or live[name].shape != own[name].shape:
                    raise ReglError(
                        f"the {kind} {name!r} of these weights and of the network "
                        f"{self.kind} differ; use weights of the same model, width, "
                        "number of classes and method"
                    )
            if live:
                torch._foreach_copy_(list(live.values()), [own[name] for name in live])


@torch.no_grad()
def combine(function: Callable[..., Tensor], *weights: Weights) -> Weights:
    """`function` of the trainable parameters of the same name; the result has no buffers.

    >>> x, y = (Weights({"w": torch.tensor([value])}, {}) for value in (1.0, 3.0))
    >>> combine(torch.sub, y, x).params["w"]
    tensor([2.])
    """
    first, *rest = weights
    return Weights(
        {
            name: function(tensor, *(other.params[name] for other in rest))
            for name, tensor in first.params.items()
        },
        {},
    )


@torch.no_grad()
def mean(weights: Sequence[Weights], shares: Sequence[float]) -> Weights:
    """The sum of ``share * weights`` over weights of the same names; `shares` sum to one.

    Floating-point buffers are averaged like parameters. An integer buffer, a count, becomes
    the largest one: no float ever holds it.
    """

    return Weights(
        _mean([one.params for one in weights], shares),
        _mean([one.buffers for one in weights], shares),
    )


def _mean(several: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    # In double precision, so that the mean of equal tensors is that tensor bit for bit.
    totals = {
        name: torch.zeros_like(tensor, dtype=torch.float64)
        for name, tensor in several[0].items()
        if tensor.is_floating_point()
    }
    for one, share in zip(several, shares, strict=True):
        if totals:
            own = [one[name] for name in totals]
            torch._foreach_add_(list(totals.values()), own, alpha=share)
    return {
        name: totals[name].to(tensor.dtype)
        if name in totals
        else torch.stack([one[name] for one in several]).amax(0)
        for name, tensor in several[0].items()
    }
