"""Accuracy over the number of synthetic images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .palette import method_styles
from .style import panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def accuracy_by_volume(
    frame: pd.DataFrame, without: str, methods: Sequence[str], where: str | None = None
) -> Figure:
    """Mean, worst and best of the seeds, a panel per data set (Fig. 5).

    frame : columns dataset, method, seed, images (per class and client) and accuracy_pct.
    without : the method that uses no synthetic image: it stands at 0, its mean a level line.
    where : what else the title says, as the partition.
    """
    datasets = list(dict.fromkeys(frame["dataset"]))
    figure, grid = panels(len(datasets), 5.2 * len(datasets), 3.8)
    styles = method_styles([without, *methods])
    keywords = {name: style.keywords for name, style in styles.items()}
    for axes, dataset in zip(grid, datasets, strict=True):
        own = frame[frame["dataset"] == dataset]
        nothing = own[own["method"] == without].assign(images=0)
        level = nothing["accuracy_pct"].mean()
        axes.axhline(level, color=styles[without].colour, linestyle=":", linewidth=1)
        _series(axes, nothing, keywords[without], f"{without}, none", 0)
        counts = sorted(set(own.loc[own["method"].isin(methods), "images"]))
        step = 0.012 * counts[-1]  # so far a method's marks stand aside, or they hid each other
        for place, method in enumerate(methods):
            aside = step * (2 * place - len(methods) + 1)
            _series(axes, own[own["method"] == method], keywords[method], method, aside)
        axes.set_xticks([0, *counts])
        bottom = max(0, 5 * int((own["accuracy_pct"].min() - 1) // 5))
        cut = f", from {bottom} up" if bottom else ""
        axes.set(
            title=", ".join(filter(None, (dataset, where))),
            xlabel="synthetic images per class and client",
            ylabel=f"test accuracy (%{cut})",
            ylim=(bottom, None),
        )
        axes.grid(alpha=0.3)
    grid[0].legend(
        frameon=False,
        title=f"mean, worst and best of {frame['seed'].nunique()} seeds",
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=3,
        handlelength=3,
    )
    return figure


def _series(axes: Axes, rows: pd.DataFrame, style: dict, name: str, aside: float) -> None:
    """A line through the means, and through each a bar from the worst seed to the best."""
    found = rows.groupby("images")["accuracy_pct"]
    mean = found.mean()
    reach = [mean - found.min(), found.max() - mean]
    axes.errorbar(mean.index + aside, mean, yerr=reach, capsize=4, label=name, **style)
