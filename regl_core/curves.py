"""Accuracy after each round, drawn."""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .columns import Place, by_partition
from .drawing.looks import finished
from .formats import spoken
from .layout import POOLED

if TYPE_CHECKING:  # results are drawn without loading what computes them
    from .runs import Result

# Okabe and Ito's palette, told apart by colour-blind readers, without its yellow, too pale for a
# line. The three cycles differ in length, so that no two of 210 methods look alike, even in grey.
COLOURS = ("#000000", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "X")
LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))


def curves(results: "Sequence[Result]", place: Place = by_partition) -> Figure:
    """Test accuracy (%) after each communication round: a panel per data set and setting.

    `place` says which setting and method a result belongs to.

    A line is a method's mean over the seeds, the band around it their range. A method trained on
    all images at once stands in each panel of its data set.
    """
    keys = [(result.run.dataset, place(result)[0]) for result in results]
    panels = [key for key in dict.fromkeys(keys) if key[1] != POOLED] or list(dict.fromkeys(keys))
    methods = list(dict.fromkeys(result.run.method for result in results))
    looks = islice(zip(cycle(COLOURS), cycle(MARKERS), cycle(LINES), strict=False), len(methods))
    styles = dict(zip(methods, looks, strict=True))
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
        for method, style in styles.items():
            shown = [
                result.accuracy
                for result, key in zip(results, keys, strict=True)
                if result.run.method == method and key in {(dataset, setting), (dataset, POOLED)}
            ]
            if shown:
                _line(axes, np.array(shown), method, style)
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


def _line(axes: Axes, accuracy: np.ndarray, method: str, style: tuple) -> None:
    """Draw `accuracy`, float (seeds, rounds), in %."""
    colour, marker, line = style
    rounds = np.arange(1, accuracy.shape[1] + 1)
    axes.fill_between(
        rounds, accuracy.min(axis=0), accuracy.max(axis=0), color=colour, alpha=0.15, linewidth=0
    )
    axes.plot(
        rounds,
        accuracy.mean(axis=0),
        color=colour,
        marker=marker,
        linestyle=line,
        markersize=5,
        clip_on=False,
        markevery=max(1, len(rounds) // 10),
        label=method,
    )
