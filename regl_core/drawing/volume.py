"""Accuracy over the number of synthetic images."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from .looks import AFTER, BEFORE, GREY, finished


def volume(frame: pd.DataFrame, without: str, methods: Sequence[str]) -> Figure:
    """Mean and range over the seeds, a panel per data set (Fig. 5).

    frame : columns dataset, method, seed, images (per class and client) and accuracy_pct.
    without : the method that uses no synthetic image: a level line.
    """
    datasets = list(dict.fromkeys(frame["dataset"]))
    figure, grid = plt.subplots(
        1, len(datasets), figsize=(4.6 * len(datasets), 3.6), squeeze=False, layout="constrained"
    )
    for axes, dataset in zip(grid.flat, datasets, strict=True):
        own = frame[frame["dataset"] == dataset]
        level = own.loc[own["method"] == without, "accuracy_pct"]
        axes.axhline(level.mean(), color=GREY, linestyle="--", label=f"{without}, none")
        axes.axhspan(level.min(), level.max(), color=GREY, alpha=0.12, linewidth=0)
        for method, colour, marker in zip(methods, (BEFORE, AFTER), "so", strict=True):
            rows = own[own["method"] == method].groupby("images")["accuracy_pct"]
            mean, low, high = rows.mean(), rows.min(), rows.max()
            axes.fill_between(mean.index, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(mean.index, mean, color=colour, marker=marker, label=method)
            axes.set_xticks(mean.index)
        axes.set(
            title=dataset,
            xlabel="synthetic images per class and client",
            ylabel="test accuracy (%)",
        )
        axes.grid(alpha=0.3)
    grid[0, 0].legend(frameon=False)
    return finished(figure)
