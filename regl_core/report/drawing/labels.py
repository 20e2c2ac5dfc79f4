"""Who owns what: one client's labels before and after recovery, and all clients' at once."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from .palette import looks
from .style import REAL, SYNTHETIC, finished, ink

FEW = 30  # with more classes than this their names do not fit beside an axis


def recovery(
    axes: Axes, real: Sequence[int], synthetic: Sequence[int], classes: Sequence[str]
) -> None:
    """Bars of one client's images per class, real and on top synthetic (Fig. 1 a, b)."""
    places = np.arange(len(classes))
    axes.bar(places, real, color=REAL, label="real", edgecolor="white", linewidth=0.5)
    if any(synthetic):
        axes.bar(
            places,
            synthetic,
            bottom=real,
            color=SYNTHETIC,
            label="synthetic",
            hatch="//",
            edgecolor="white",
            linewidth=0.5,
        )
    _name(axes, classes)
    axes.set_ylabel("images")
    axes.spines[["top", "right"]].set_visible(False)


def accuracies(axes: Axes, bars: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Means as bars, worst to best seed as whiskers: setting → method → % by seed (Fig. 1 c)."""
    methods = list(dict.fromkeys(name for group in bars.values() for name in group))
    width = 0.8 / len(methods)
    for i, (method, look) in enumerate(looks(methods).items()):
        places = np.arange(len(bars)) + (i - (len(methods) - 1) / 2) * width
        values = [np.array(group[method]) for group in bars.values()]
        means = np.array([value.mean() for value in values])
        reach = [means - [v.min() for v in values], [v.max() for v in values] - means]
        drawn = axes.bar(
            places,
            means,
            0.95 * width,
            color=look.colour,
            label=method,
            yerr=reach,
            capsize=4,
            ecolor="black",
        )
        for line in drawn.errorbar.lines[1] + drawn.errorbar.lines[2]:
            line.set_path_effects([withStroke(linewidth=3, foreground="white")])
        axes.bar_label(drawn, fmt="%.1f", fontsize=8, padding=2)
    axes.set_xticks(range(len(bars)), list(bars))
    seeds = max(len(values) for group in bars.values() for values in group.values())
    axes.set(ylabel="test accuracy (%)", ylim=(0, 100))
    axes.set_xlabel(f"mean of {seeds} seeds; whiskers: worst and best", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)


def ownership(panels: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Heat maps clients × classes of numbers of images, one panel per title (Fig. 3)."""
    clients = max(len(counts) for counts in panels.values())
    few = len(classes) <= FEW
    size = 0.42 if few else 0.09  # inches per class
    figure, grid = plt.subplots(
        1,
        len(panels),
        figsize=(len(panels) * (size * len(classes) + 0.6) + 1.3, 0.34 * clients + 1.6),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    top = max(int(counts.max()) for counts in panels.values())
    for axes, (title, counts) in zip(grid.flat, panels.items(), strict=True):
        drawn = axes.imshow(counts, cmap="cividis", vmin=0, vmax=top, aspect="auto")
        axes.set_title(title, fontsize=10)
        _name(axes, classes)
        axes.set_yticks(range(len(counts)))
        if few:
            for (client, k), count in np.ndenumerate(counts):
                colour = ink(drawn.to_rgba(count)[:3])
                axes.text(k, client, count, ha="center", va="center", color=colour, fontsize=7)
    grid[0, 0].set_ylabel("client")
    figure.colorbar(drawn, ax=list(grid.flat), label="images", pad=0.01)
    return finished(figure)


def _name(axes: Axes, classes: Sequence[str]) -> None:
    if len(classes) <= FEW:
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=8)
    axes.set_xlabel("class", fontsize=9)
