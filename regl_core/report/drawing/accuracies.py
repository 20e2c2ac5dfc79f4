"""Accuracies of methods: after each round, over the number of synthetic images, as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..comparison import CONTROLS
from ..rows import POOLED, by_partition, spoken
from .palette import RANGES, method_styles
from .style import legend_below, outlined, panels

if TYPE_CHECKING:  # results are drawn without loading what computes them
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...runs import Result
    from ..rows import Place


def accuracy_curves(results: Sequence[Result], place: Place = by_partition) -> Figure:
    """Test accuracy (%) after each communication round: a panel per data set and setting.

    `place` says which setting and method a result belongs to.

    A line is a method's mean over the seeds. Of RANGES, bars go from the worst seed to the best; of
    more methods they would cover each other. A method trained on all images at once stands in each
    panel of its data set. Controls have no line.
    """
    from matplotlib.ticker import MaxNLocator

    keys = [(result.run.dataset, place(result)[0]) for result in results]
    shown = [key for key in dict.fromkeys(keys) if key[1] != POOLED] or list(dict.fromkeys(keys))
    methods = [it for it in dict.fromkeys(r.run.method for r in results) if it not in CONTROLS]
    columns = min(len(shown), 2)
    rows = -(-len(shown) // columns)
    figure, grid = panels(len(shown), 4.5 * columns, 3.4 * rows + 0.6, rows, sharey=True)
    for axes, (dataset, setting) in zip(grid, shown, strict=True):
        for method, style in method_styles(methods).items():
            own = [
                result.accuracy
                for result, key in zip(results, keys, strict=True)
                if result.run.method == method and key in {(dataset, setting), (dataset, POOLED)}
            ]
            if own:
                _line(axes, np.array(own), method, style)
        axes.set(title=f"{dataset}, {spoken(setting)}", xlabel="communication round", ylim=(0, 100))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    for axes in grid[::columns]:
        axes.set_ylabel("test accuracy (%)")
    legend_below(figure, grid, methods, ncols=2 * columns, handlelength=3.5)
    return figure


def _line(axes: Axes, accuracy: np.ndarray, method: str, style: Mapping[str, Any]) -> None:
    """Draw `accuracy`, float (seeds, rounds), in %."""
    rounds = np.arange(1, accuracy.shape[1] + 1)
    mean, step = accuracy.mean(axis=0), max(1, len(rounds) // 10)
    if method in RANGES:  # a little aside, or one would hide the other
        own = slice(None, None, step)
        aside = 0.07 * step * (RANGES.index(method) - 1)
        reach = [(mean - accuracy.min(axis=0))[own], (accuracy.max(axis=0) - mean)[own]]
        bars = {"color": style["color"], "linestyle": "none", "elinewidth": 1, "capsize": 2.5}
        axes.errorbar(rounds[own] + aside, mean[own], yerr=reach, **bars)
    axes.plot(rounds, mean, clip_on=False, markevery=step, label=method, **style)


def accuracy_by_volume(
    frame: pd.DataFrame, without: str, methods: Sequence[str], where: str | None = None
) -> Figure:
    """Mean, worst and best of the seeds, a panel per data set (Fig. 5).

    frame : rows of `gather`, whose settings name the images per class and client (`by_volume`).
    without : the method that uses no synthetic image: it stands at 0, its mean a level line.
    where : what else the title says, as the partition.
    """
    counted = frame["setting"].str.extract(r"images=(\d+)", expand=False).astype(int)
    frame, datasets = frame.assign(images=counted), list(dict.fromkeys(frame["dataset"]))
    figure, grid = panels(len(datasets), 5.2 * len(datasets), 3.8)
    styles = method_styles([without, *methods])
    for axes, dataset in zip(grid, datasets, strict=True):
        own = frame[frame["dataset"] == dataset]
        nothing = own[own["method"] == without].assign(images=0)
        level = nothing["accuracy_pct"].mean()
        axes.axhline(level, color=styles[without]["color"], linestyle=":", linewidth=1)
        _series(axes, nothing, styles[without], f"{without}, none", 0)
        counts = sorted(set(own.loc[own["method"].isin(methods), "images"]))
        step = 0.012 * counts[-1]  # so far a method's marks stand aside, or they hid each other
        for place, method in enumerate(methods):
            aside = step * (2 * place - len(methods) + 1)
            _series(axes, own[own["method"] == method], styles[method], method, aside)
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


def accuracy_bars(axes: Axes, bars: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Means as bars, worst to best seed as whiskers: setting → method → % by seed (Fig. 1 c)."""
    methods = list(dict.fromkeys(name for group in bars.values() for name in group))
    width = 0.8 / len(methods)
    for i, (method, style) in enumerate(method_styles(methods).items()):
        places = np.arange(len(bars)) + (i - (len(methods) - 1) / 2) * width
        values = [np.array(group[method]) for group in bars.values()]
        means = np.array([value.mean() for value in values])
        reach = [means - [v.min() for v in values], [v.max() for v in values] - means]
        whiskers = {"yerr": reach, "capsize": 4, "ecolor": "black"}
        drawn = axes.bar(
            places, means, 0.95 * width, color=style["color"], label=method, **whiskers
        )
        for line in drawn.errorbar.lines[1] + drawn.errorbar.lines[2]:
            outlined(line, 3, "white")
        axes.bar_label(drawn, fmt="%.1f", fontsize=8, padding=2)
    axes.set_xticks(range(len(bars)), list(bars))
    seeds = max(len(values) for group in bars.values() for values in group.values())
    axes.set(ylabel="test accuracy (%)", ylim=(0, 100))
    axes.set_xlabel(f"mean of {seeds} seeds; whiskers: worst and best", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
