"""Accuracy on each class before and after one local update, with the images behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .style import GREY, images_of_classes, legend_below, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SHOWN = (-3, 103)  # % of accuracy: a little more than there can be, so that no mark is cut
STYLES = {  # neither colour means a method or a kind of image
    "before": {"color": "#555555", "linestyle": "--", "marker": "o", "markerfacecolor": "white"},
    "after": {"color": "black", "marker": "s"},
}


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
