"""What methods have in common besides the loop (`test_federation`)."""

import torch
from torch import nn

from regl_core.methods.base import moving


def test_what_moves_is_what_has_a_gradient():
    used, aside = nn.Parameter(torch.tensor([2.0])), nn.Parameter(torch.tensor([5.0]))
    (3 * used).sum().backward()
    others = torch.tensor([7.0]), torch.tensor([8.0])
    gradients, params, own = moving([aside, used], others)
    assert [*map(list, (gradients, params, own))] == [[used.grad], [used], [others[1]]]
    gradients, params, own = moving([used], others[:1])
    assert [*map(list, (gradients, params, own))] == [[used.grad], [used], [others[0]]]
    gradients, params = moving([used])
    assert [*map(list, (gradients, params))] == [[used.grad], [used]]
    torch._foreach_add_(gradients, params)  # the gradients are those that the optimiser will see
    assert used.grad.item() == 3 + 2


MUTATIONS = (
    ("a parameter outside the loss is not left out", "compress(column, there)", "column"),
    ("gradients are copies", "[weight.grad for", "[weight.grad and weight.grad.clone() for"),
    (
        "gradients are those of others",
        "list(compress(column, there)) for column in columns",
        "list(compress(column, there[::-1])) for column in columns",
    ),
    (
        "where all move it is the parameters",
        "gradients, params, *others",
        "params, params, *others",
    ),
)
