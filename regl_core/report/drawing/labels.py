"""Who owns what: one client's labels before and after recovery, and all clients' at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .palette import method_styles
from .style import heat_map, images_of_classes, outlined, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 30  # with more classes than this their names do not fit beside an axis


def recovery(
    axes: Axes, real: Sequence[int], synthetic: Sequence[int] | None, classes: Sequence[str]
) -> None:
    """Bars of one client's images per class, real and on top synthetic (Fig. 1 a, b)."""
    edges = {"edgecolor": "white", "linewidth": 0.5}
    images_of_classes(axes, real, synthetic, ("real", "synthetic"), **edges)
    _name(axes, classes)
    axes.set_ylabel("images")
    axes.spines[["top", "right"]].set_visible(False)


def accuracies(axes: Axes, bars: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Means as bars, worst to best seed as whiskers: setting → method → % by seed (Fig. 1 c)."""
    methods = list(dict.fromkeys(name for group in bars.values() for name in group))
    width = 0.8 / len(methods)
    for i, (method, style) in enumerate(method_styles(methods).items()):
        places = np.arange(len(bars)) + (i - (len(methods) - 1) / 2) * width
        values = [np.array(group[method]) for group in bars.values()]
        means = np.array([value.mean() for value in values])
        reach = [means - [v.min() for v in values], [v.max() for v in values] - means]
        whiskers = {"yerr": reach, "capsize": 4, "ecolor": "black"}
        drawn = axes.bar(places, means, 0.95 * width, color=style.colour, label=method, **whiskers)
        for line in drawn.errorbar.lines[1] + drawn.errorbar.lines[2]:
            outlined(line, 3, "white")
        axes.bar_label(drawn, fmt="%.1f", fontsize=8, padding=2)
    axes.set_xticks(range(len(bars)), list(bars))
    seeds = max(len(values) for group in bars.values() for values in group.values())
    axes.set(ylabel="test accuracy (%)", ylim=(0, 100))
    axes.set_xlabel(f"mean of {seeds} seeds; whiskers: worst and best", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)


def ownership_maps(owned: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Heat maps clients × classes of numbers of images, one panel per title (Fig. 3)."""
    clients = max(len(counts) for counts in owned.values())
    few = len(classes) <= FEW
    width = (0.42 if few else 0.09) * len(classes) + 0.6  # inches
    size = (len(owned) * width + 1.3, 0.34 * clients + 1.6)
    figure, grid = panels(len(owned), *size, sharey=True)
    top = max(int(counts.max()) for counts in owned.values())
    for axes, (title, counts) in zip(grid, owned.items(), strict=True):
        drawn = heat_map(axes, counts, top, "d" if few else "", size=7)
        axes.set_title(title, fontsize=10)
        _name(axes, classes)
        axes.set_yticks(range(len(counts)))
    grid[0].set_ylabel("client")
    figure.colorbar(drawn, ax=grid, label="images", pad=0.01)
    return figure


def _name(axes: Axes, classes: Sequence[str]) -> None:
    if len(classes) <= FEW:
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=8)
    axes.set_xlabel("class", fontsize=9)
