"""Images side by side, and how many of them are what they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .style import heat_map, outlined, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor


def image_grid(images: Mapping[str, Tensor], classes: Sequence[str], columns: int = 8) -> Figure:
    """A panel of images for each title, one row per class, the first `columns` of each.

    images : uint8 tensors (classes, n, 3, side, side).
    """
    size = (2.6 * len(images) + 0.8, 0.32 * len(classes) + 0.6)
    figure, grid = panels(len(images), *size, dpi=150)
    for axes, (title, own) in zip(grid, images.items(), strict=True):
        mosaic(axes, title, own, columns, classes if axes is grid[0] else ())
    return figure


def mosaic(
    axes: Axes, title: str, images: Tensor, columns: int, classes: Sequence[str] = ()
) -> None:
    """Images (classes, n, 3, side, side), a row per class; rows are named where `classes` are."""
    apart = np.pad(images[:, :columns].numpy(), [(0, 0)] * 3 + [(0, 1)] * 2, constant_values=255)
    rows, across, _, side, _ = apart.shape
    whole = apart.transpose(0, 3, 1, 4, 2).reshape(rows * side, across * side, 3)
    axes.imshow(whole, interpolation="nearest")
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    places = np.arange(rows) * side + side / 2 - 0.5
    axes.set_yticks(places, list(classes) or [""] * rows, fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def agreement(
    rows: Mapping[str, Sequence[float]], classes: Sequence[str], owned: Mapping[str, Sequence[int]]
) -> Figure:
    """Share of each class's images, in %, that a judge takes for that class.

    rows : title → percent per class. owned : title → classes whose images the model was tuned
    on, marked by a frame, white in black: one of the two is seen on any colour.
    """
    from matplotlib.patches import Rectangle

    figure, (axes,) = panels(1, 0.62 * len(classes) + 2.6, 0.42 * len(rows) + 1.1, dpi=150)
    drawn = heat_map(axes, np.array(list(rows.values())), 100, ".0f")
    for i, title in enumerate(rows):
        for k in owned.get(title, ()):
            frame = Rectangle((k - 0.44, i - 0.4), 0.88, 0.8, fill=False, ec="white", lw=1.5)
            outlined(axes.add_patch(frame), 3.5, "black")
    axes.set_xticks(range(len(classes)), classes, fontsize=8)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set_xlabel("class asked for (framed: tuned on)", fontsize=8)
    bar = figure.colorbar(drawn, ax=axes)
    bar.set_label("recognised as it, %", fontsize=8)
    return figure
