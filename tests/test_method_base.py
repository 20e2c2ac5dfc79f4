"""What methods have in common besides the loop (`test_federation`)."""

import torch
from torch import nn

from regl_core.methods.base import moving


def test_what_moves_is_what_has_a_gradient():
    used, aside = nn.Parameter(torch.tensor([2.0])), nn.Parameter(torch.tensor([5.0]))
    (3 * used).sum().backward()
    others = torch.tensor([7.0]), torch.tensor([8.0])
    gradients, params, own = moving([aside, used], others)
    assert gradients == (used.grad,) and params == (used,) and own == (others[1],)
    gradients, params = moving([used])
    torch._foreach_add_(gradients, params)  # the gradients are those that the optimiser will see
    assert used.grad.item() == 3 + 2


MUTATIONS = (
    ("a parameter outside the loss is not left out", " if weight.grad is not None", ""),
    (
        "gradients are copies",
        "[(weight.grad, weight, *rest)",
        "[(weight.grad.clone(), weight, *rest)",
    ),
    (
        "gradients are those of others",
        "[(weight.grad, weight, *rest)",
        "[(weight.grad, *rest, weight)",
    ),
)
