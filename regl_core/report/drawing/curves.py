"""Accuracy after each round, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..rows import POOLED, by_partition, spoken
from .palette import RANGES, MethodStyle, method_styles
from .style import legend_below, panels

if TYPE_CHECKING:  # results are drawn without loading what computes them
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...runs import Result
    from ..rows import Place


def accuracy_curves(results: Sequence[Result], place: Place = by_partition) -> Figure:
    """Test accuracy (%) after each communication round: a panel per data set and setting.

    `place` says which setting and method a result belongs to.

    A line is a method's mean over the seeds. Of RANGES, bars go from the worst seed to the best; of
    more methods they would cover each other. A method trained on all images at once stands in each
    panel of its data set.
    """
    from matplotlib.ticker import MaxNLocator

    keys = [(result.run.dataset, place(result)[0]) for result in results]
    shown = [key for key in dict.fromkeys(keys) if key[1] != POOLED] or list(dict.fromkeys(keys))
    methods = list(dict.fromkeys(result.run.method for result in results))
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


def _line(axes: Axes, accuracy: np.ndarray, method: str, style: MethodStyle) -> None:
    """Draw `accuracy`, float (seeds, rounds), in %."""
    rounds = np.arange(1, accuracy.shape[1] + 1)
    mean, step = accuracy.mean(axis=0), max(1, len(rounds) // 10)
    if method in RANGES:  # a little aside, or one would hide the other
        own = slice(None, None, step)
        aside = 0.07 * step * (RANGES.index(method) - 1)
        reach = [(mean - accuracy.min(axis=0))[own], (accuracy.max(axis=0) - mean)[own]]
        bars = {"color": style.colour, "linestyle": "none", "elinewidth": 1, "capsize": 2.5}
        axes.errorbar(rounds[own] + aside, mean[own], yerr=reach, **bars)
    axes.plot(rounds, mean, clip_on=False, markevery=step, label=method, **style.keywords)
