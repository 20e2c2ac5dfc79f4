"""Images side by side, and how many of them are what they should be."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from .drawing.style import finished, ink


def sheet(panels: Mapping[str, torch.Tensor], classes: Sequence[str], columns: int = 8) -> Figure:
    """A panel of images for each title, one row per class, the first `columns` of each.

    panels: uint8 tensors (classes, n, 3, side, side).
    """
    figure, grid = plt.subplots(
        1,
        len(panels),
        figsize=(2.6 * len(panels) + 0.8, 0.32 * len(classes) + 0.6),
        squeeze=False,
        layout="constrained",
        dpi=150,
    )
    for place, (axes, (title, images)) in enumerate(zip(grid.flat, panels.items(), strict=True)):
        shown = images[:, :columns]
        rows, across, _, side, _ = shown.shape
        mosaic = shown.permute(0, 3, 1, 4, 2).reshape(rows * side, across * side, 3)
        axes.imshow(mosaic.numpy(), interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.set_xticks([])
        names = list(classes) if place == 0 else [""] * rows
        axes.set_yticks(np.arange(rows) * side + side / 2 - 0.5, names, fontsize=8)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return finished(figure)


def agreement(
    rows: Mapping[str, Sequence[float]], classes: Sequence[str], owned: Mapping[str, Sequence[int]]
) -> Figure:
    """Share of each class's images, in %, that a judge takes for that class.

    rows: title → percent per class. owned: title → classes whose images the model was tuned
    on, marked by a frame, white in black: one of the two is seen on any colour.
    """
    values = np.array(list(rows.values()))
    figure, axes = plt.subplots(
        figsize=(0.62 * len(classes) + 2.6, 0.42 * len(rows) + 1.1), layout="constrained", dpi=150
    )
    drawn = axes.imshow(values, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for i, title in enumerate(rows):
        for k in range(len(classes)):
            colour = ink(drawn.to_rgba(values[i, k])[:3])
            axes.text(
                k, i, f"{values[i, k]:.0f}", ha="center", va="center", color=colour, fontsize=8
            )
        for k in owned.get(title, ()):
            frame = plt.Rectangle((k - 0.44, i - 0.4), 0.88, 0.8, fill=False, ec="white", lw=1.5)
            frame.set_path_effects([withStroke(linewidth=3.5, foreground="black")])
            axes.add_patch(frame)
    axes.set_xticks(range(len(classes)), classes, fontsize=8)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set_xlabel("class asked for (framed: tuned on)", fontsize=8)
    bar = figure.colorbar(drawn, ax=axes)
    bar.set_label("recognised as it, %", fontsize=8)
    return finished(figure)
