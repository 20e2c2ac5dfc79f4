"""Who owns what, what that makes of a client's labels, and what a local update does to classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .style import GREY, heat_map, images_of_classes, legend_below, panels

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 30  # with more classes than this their names do not fit beside an axis
SHOWN = (-3, 103)  # % of accuracy: a little more than there can be, so that no mark is cut
STYLES = {  # neither colour means a method or a kind of image
    "before": {"color": "#555555", "linestyle": "--", "marker": "o", "markerfacecolor": "white"},
    "after": {"color": "black", "marker": "s"},
}


def recovery(
    axes: Axes, real: Sequence[int], synthetic: Sequence[int] | None, classes: Sequence[str]
) -> None:
    """Bars of one client's images per class, real and on top synthetic (Fig. 1 a, b)."""
    edges = {"edgecolor": "white", "linewidth": 0.5}
    images_of_classes(axes, real, synthetic, ("real", "synthetic"), **edges)
    named(axes, classes)
    axes.set_ylabel("images")
    axes.spines[["top", "right"]].set_visible(False)


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
        named(axes, classes)
        axes.set_yticks(range(len(counts)))
    grid[0].set_ylabel("client")
    figure.colorbar(drawn, ax=grid, label="images", pad=0.01)
    return figure


def named(axes: Axes, classes: Sequence[str]) -> None:
    """Name the classes below, if they are few."""
    if len(classes) <= FEW:
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=8)
    axes.set_xlabel("class", fontsize=9)


def local_update(
    frame: pd.DataFrame, methods: Sequence[str], classes: Sequence[str], where: str | None = None
) -> Figure:
    """A panel per method, for one client (Fig. 7).

    frame : one row per method and class, columns method, class, real, synthetic, before_pct,
        after_pct. Bars are images, lines accuracies; both scales have their zero in one place.
    where : what titles say after the method, as the client and its partition.
    """
    figure, grid = panels(len(methods), 4.4 * len(methods), 3.9, sharey=True)
    top = 1.6 * (frame["real"] + frame["synthetic"]).max()
    for axes, method in zip(grid, methods, strict=True):
        own = frame[frame["method"] == method].set_index("class").loc[list(classes)]
        bars = axes.twinx()
        names = ("real images", "synthetic images")
        images_of_classes(bars, own["real"], own["synthetic"], names, alpha=0.45)
        bars.set_ylim(top * SHOWN[0] / SHOWN[1], top)
        if axes is grid[-1]:
            bars.set_ylabel("images")
        else:
            bars.set_yticks([])  # without numbers they looked like ticks of the accuracy
        axes.set_zorder(bars.get_zorder() + 1)
        axes.patch.set_visible(False)
        axes.axhline(0, color=GREY, linewidth=0.8)
        places = range(len(classes))
        for when, style in STYLES.items():
            axes.plot(places, own[f"{when}_pct"], label=f"{when} the update", **style)
        axes.set_xticks(places, classes, rotation=45, ha="right", fontsize=8)
        axes.set(xlabel="class", ylim=SHOWN)
        axes.set_title(", ".join(filter(None, (method, where))), fontsize=10)
    grid[0].set_ylabel("accuracy on the class (%)")
    legend_below(figure, (grid[0], bars), ncols=4)
    return figure
