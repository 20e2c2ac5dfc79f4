"""Images that need not fit into memory: read where they lie, when they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Images:
    """n images of one size out of `parts`, which can be files mapped into memory.

    It is read like a tensor (n, channels, side, side): ``len``, ``shape``, ``dtype``, ``device``
    and indexing by int64 or bool tensors, lists and slices, which copies those images alone. What
    `view` and `joined` make shares the parts.

    Attributes
    ----------
    parts
        Tensors (m, channels, side, side) of one dtype, size and device.
    rows
        int64 (n,), on the CPU: where each image lies in the concatenation of the parts.
    """

    parts: tuple[Tensor, ...]
    rows: Tensor

    @classmethod
    def of(cls, images: "Tensor | Images") -> "Images":
        """All of `images`, a tensor or what is one of these already."""
        if isinstance(images, Images):
            return images
        return cls((images,), torch.arange(len(images)))

    @classmethod
    def joined(cls, several: Sequence["Tensor | Images"]) -> "Images":
        """One after the other, without a copy."""
        parts: list[Tensor] = []
        rows, start = [], 0
        for images in map(cls.of, several):
            parts += images.parts
            rows.append(images.rows + start)
            start += sum(map(len, images.parts))
        return cls(tuple(parts), torch.cat(rows))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> torch.Size:
        """(n, channels, side, side)."""
        return torch.Size((len(self), *self.parts[0].shape[1:]))

    @property
    def dtype(self) -> torch.dtype:
        """Of the pixels."""
        return self.parts[0].dtype

    @property
    def device(self) -> torch.device:
        """Where the parts lie."""
        return self.parts[0].device

    def view(self, index: Tensor | Sequence[int] | slice) -> "Images":
        """Those at `index`, in its order, without a copy."""
        return Images(self.parts, self.rows[index])

    def __getitem__(self, index: Tensor | Sequence[int] | slice) -> Tensor:
        """A copy of those at `index`, in its order."""
        rows = self.rows[index]
        if len(self.parts) == 1:
            return self.parts[0][rows]
        found = torch.empty((len(rows), *self.shape[1:]), dtype=self.dtype, device=self.device)
        start = 0
        for part in self.parts:
            here = ((rows >= start) & (rows < start + len(part))).nonzero()[:, 0]
            if len(here):
                found[here] = part[rows[here] - start]
            start += len(part)
        return found

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """As ``self[index]``; `dim` is 0."""
        return self[index]
