"""Accuracy on each class before and after one local update, with the images behind it."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .style import GREY, REAL, SYNTHETIC, finished

SHOWN = (-3, 103)  # % of accuracy: a little more than there can be, so that no mark is cut
LOOKS = {  # neither colour means a method or a kind of image
    "before": {"color": "#555555", "linestyle": "--", "marker": "o", "markerfacecolor": "white"},
    "after": {"color": "black", "marker": "s"},
}


def update(
    frame: pd.DataFrame, methods: Sequence[str], classes: Sequence[str], where: str | None = None
) -> Figure:
    """A panel per method, for one client (Fig. 7).

    frame : one row per method and class, columns method, class, real, synthetic, before_pct,
        after_pct. Bars are images, lines accuracies; both scales have their zero in one place.
    where : what titles say after the method, as the client and its partition.
    """
    figure, grid = plt.subplots(
        1,
        len(methods),
        figsize=(4.4 * len(methods), 3.9),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    places, top = np.arange(len(classes)), 1.6 * (frame["real"] + frame["synthetic"]).max()
    for axes, method in zip(grid.flat, methods, strict=True):
        own = frame[frame["method"] == method].set_index("class").loc[list(classes)]
        bars = axes.twinx()
        bars.bar(places, own["real"], color=REAL, alpha=0.45, label="real images")
        bars.bar(
            places,
            own["synthetic"],
            bottom=own["real"],
            color=SYNTHETIC,
            alpha=0.45,
            hatch="//",
            edgecolor="white",
            label="synthetic images",
        )
        bars.set_ylim(top * SHOWN[0] / SHOWN[1], top)
        if axes is grid.flat[-1]:
            bars.set_ylabel("images")
        else:
            bars.set_yticks([])  # without numbers they looked like ticks of the accuracy
        axes.set_zorder(bars.get_zorder() + 1)
        axes.patch.set_visible(False)
        axes.axhline(0, color=GREY, linewidth=0.8)
        for when, look in LOOKS.items():
            axes.plot(places, own[f"{when}_pct"], label=f"{when} the update", **look)
        axes.set_xticks(places, classes, rotation=45, ha="right", fontsize=8)
        axes.set(xlabel="class", ylim=SHOWN)
        axes.set_title(", ".join(filter(None, (method, where))), fontsize=10)
    grid[0, 0].set_ylabel("accuracy on the class (%)")
    lines, line_names = grid[0, 0].get_legend_handles_labels()
    others, other_names = bars.get_legend_handles_labels()
    figure.legend(
        lines + others,
        line_names + other_names,
        loc="outside lower center",
        ncols=4,
        frameon=False,
    )
    return finished(figure)
