"""Random views of training images, made where the images are."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .seeds import torch_generator

MARGIN = 8  # an image moves by an eighth of its side at most, as 32 pixels by 4 (He et al. 2016)


def augmented(images: Tensor, *path: int | str) -> Tensor:
    """Each image mirrored or not and moved at random, its outside black (He et al. 2016, Sec. 4.2).

    images: floating point (n, channels, side, side), -1 is black. What is drawn derives from
    `path` alone; on any device the same.
    """
    n, _, side, _ = images.shape
    generator, reach = torch_generator(*path), max(1, side // MARGIN)
    mirrored = torch.rand(n, generator=generator) < 0.5
    down, right = torch.randint(2 * reach + 1, (2, n, 1), generator=generator)
    across = torch.arange(side)
    columns = torch.where(mirrored[:, None], across.flip(0), across) + right
    rows, columns = (index.to(images.device) for index in (across + down, columns))
    wide = F.pad(images, (reach,) * 4, value=-1.0)
    each = torch.arange(n, device=images.device)[:, None, None]
    # Indexing around a slice puts the channels last; they belong second.
    return wide[each, :, rows[:, :, None], columns[:, None]].movedim(3, 1)
