"""Accuracy on each class before and after one local update, with the images behind it."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .looks import AFTER, BEFORE, REAL, SYNTHETIC, finished


def update(frame: pd.DataFrame, methods: Sequence[str], classes: Sequence[str]) -> Figure:
    """A panel per method, for one client (Fig. 7).

    frame : one row per method and class, columns method, class, real, synthetic, before_pct,
        after_pct. Bars are images, lines accuracies.
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
        bars.set_ylim(0, top)
        if axes is grid.flat[-1]:
            bars.set_ylabel("images")
        else:
            bars.set_yticklabels([])
        axes.set_zorder(bars.get_zorder() + 1)
        axes.patch.set_visible(False)
        axes.plot(places, own["before_pct"], color=BEFORE, marker="o", label="before the update")
        axes.plot(
            places, own["after_pct"], color=AFTER, marker="s", linestyle="--", label="after it"
        )
        axes.set_xticks(places, classes, rotation=45, ha="right", fontsize=8)
        axes.set(title=method, xlabel="class", ylim=(-3, 103))
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
