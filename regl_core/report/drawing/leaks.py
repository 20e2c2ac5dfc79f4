"""Many means with their intervals, beside what they would be if nothing were given away."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import GREY, REAL, SYNTHETIC, finished

STYLES = ((REAL, "o", (0, (5, 2))), (SYNTHETIC, "s", (3.5, (5, 2))))  # dashes beside one another


def intervals(
    panels: Mapping[str, pd.DataFrame],
    lines: Mapping[str, tuple[str, float]],
    control: tuple[str, str] = ("", ""),
) -> Figure:
    """A panel per title, in it a line per row and a mark per series.

    panels : columns row, series, value (one of several), mean, low, high (the same for all values
        of a row and series; NaN where there is no interval).
    lines : by title, a value to compare with, a dotted line, after what the legend says of it.
    control : what the legend says of a row of the first panel, and its name: the mean of each of
        its series goes through that panel as a dashed line.

    No value can be below 0; where an interval is, it is cut there.
    """
    most = max(frame["row"].nunique() for frame in panels.values())
    figure, grid = plt.subplots(
        1,
        len(panels),
        figsize=(4.8 * len(panels), 0.42 * most + 1.8),
        squeeze=False,
        layout="constrained",
    )
    for axes, (title, frame) in zip(grid.flat, panels.items(), strict=True):
        words, value = lines[title]
        axes.axvline(value, color=GREY, linestyle=":", label=words)
        if axes is grid[0, 0]:
            _controlled(axes, frame, *control)
        _marked(axes, frame)
        axes.set_xlabel(title)
        axes.set_xlim(left=max(0, axes.get_xlim()[0]))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.3)
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return finished(figure)


def _controlled(axes: Axes, frame: pd.DataFrame, words: str, row: str) -> None:
    """The mean of every series in `row`, down the panel."""
    for name, (colour, _, dashes) in zip(dict.fromkeys(frame["series"]), STYLES, strict=False):
        own = frame[(frame["row"] == row) & (frame["series"] == name)]
        for mean in own["mean"].unique():
            axes.axvline(mean, color=colour, linestyle=dashes, label=f"{words}, {name}")


def _marked(axes: Axes, frame: pd.DataFrame) -> None:
    """Every mean with its interval, and faint the values it is made of."""
    rows, series = (list(dict.fromkeys(frame[name])) for name in ("row", "series"))
    for place, (name, (colour, marker, _)) in enumerate(zip(series, STYLES, strict=False)):
        own = frame[frame["series"] == name]
        shift = 0.24 * (place - (len(series) - 1) / 2)
        heights = own["row"].map(rows.index) + shift
        axes.scatter(
            own["value"], heights, s=14, color=colour, alpha=0.4, linewidths=0, clip_on=False
        )
        once = own.drop_duplicates("row")
        ends = once[["low", "high"]].clip(lower=0).to_numpy().T
        reach = np.abs(ends - once["mean"].to_numpy())
        axes.errorbar(
            once["mean"],
            once["row"].map(rows.index) + shift,
            xerr=np.nan_to_num(reach),
            color=colour,
            marker=marker,
            linestyle="none",
            capsize=3,
            label=name,
            clip_on=False,
        )
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
