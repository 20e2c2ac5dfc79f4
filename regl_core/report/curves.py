"""Accuracy after each round, drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .columns import Place, by_partition
from .drawing.palette import RANGES, Look, looks
from .drawing.style import finished
from .formats import spoken
from .layout import POOLED

if TYPE_CHECKING:  # results are drawn without loading what computes them
    from ..runs import Result


def curves(results: "Sequence[Result]", place: Place = by_partition) -> Figure:
    """Test accuracy (%) after each communication round: a panel per data set and setting.

    `place` says which setting and method a result belongs to.

    A line is a method's mean over the seeds. Of RANGES, bars go from the worst seed to the best; of
    more methods they would cover each other. A method trained on all images at once stands in each
    panel of its data set.
    """
    keys = [(result.run.dataset, place(result)[0]) for result in results]
    panels = [key for key in dict.fromkeys(keys) if key[1] != POOLED] or list(dict.fromkeys(keys))
    methods = list(dict.fromkeys(result.run.method for result in results))
    styles = looks(methods)
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(4.5 * columns, 3.4 * rows + 0.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes, (dataset, setting) in zip(grid.flat, panels, strict=False):
        for method, look in styles.items():
            shown = [
                result.accuracy
                for result, key in zip(results, keys, strict=True)
                if result.run.method == method and key in {(dataset, setting), (dataset, POOLED)}
            ]
            if shown:
                _line(axes, np.array(shown), method, look)
        axes.set(title=f"{dataset}, {spoken(setting)}", xlabel="communication round", ylim=(0, 100))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    for axes in grid[:, 0]:
        axes.set_ylabel("test accuracy (%)")
    drawn = {line.get_label(): line for axes in figure.axes for line in axes.lines}
    figure.legend(
        [drawn[method] for method in methods],
        methods,
        loc="outside lower center",
        ncols=2 * columns,
        handlelength=3.5,
        frameon=False,
    )
    return finished(figure)


def _line(axes: Axes, accuracy: np.ndarray, method: str, look: Look) -> None:
    """Draw `accuracy`, float (seeds, rounds), in %."""
    rounds = np.arange(1, accuracy.shape[1] + 1)
    mean, step = accuracy.mean(axis=0), max(1, len(rounds) // 10)
    if method in RANGES:  # a little aside, or one would hide the other
        own = slice(None, None, step)
        aside = 0.07 * step * (RANGES.index(method) - 1)
        axes.errorbar(
            rounds[own] + aside,
            mean[own],
            yerr=[(mean - accuracy.min(axis=0))[own], (accuracy.max(axis=0) - mean)[own]],
            color=look.colour,
            linestyle="none",
            elinewidth=1,
            capsize=2.5,
        )
    axes.plot(rounds, mean, clip_on=False, markevery=step, label=method, **look.style)
