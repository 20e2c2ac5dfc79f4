"""Many means with their intervals, beside what they would be if nothing were given away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .style import GREY, REAL, SYNTHETIC, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = ((REAL, "o", (0, (5, 2))), (SYNTHETIC, "s", (3.5, (5, 2))))  # dashes beside one another


def intervals(
    frames: Mapping[str, pd.DataFrame],
    lines: Mapping[str, tuple[str, float]],
    control: tuple[str, str] = ("", ""),
) -> Figure:
    """A panel per title, in it a line per row and a mark per series.

    frames : columns row, series, value (one of several), mean, low, high (the same for all values
        of a row and series; NaN where there is no interval).
    lines : by title, a value to compare with, a dotted line, after what the legend says of it.
    control : what the legend says of a row of the first panel, and its name: the mean of each of
        its series goes through that panel as a dashed line.

    No value can be below 0; where an interval is, it is cut there.
    """
    most = max(frame["row"].nunique() for frame in frames.values())
    figure, grid = panels(len(frames), 4.8 * len(frames), 0.42 * most + 1.8)
    for axes, (title, frame) in zip(grid, frames.items(), strict=True):
        words, value = lines[title]
        axes.axvline(value, color=GREY, linestyle=":", label=words)
        if axes is grid[0]:
            _controlled(axes, frame, *control)
        _marked(axes, frame)
        axes.set_xlabel(title)
        axes.set_xlim(left=max(0, axes.get_xlim()[0]))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.3)
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


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
        heights = own["row"].map(rows.index) + 0.24 * (place - (len(series) - 1) / 2)
        shown = {"color": colour, "clip_on": False}
        axes.scatter(own["value"], heights, s=14, alpha=0.4, linewidths=0, **shown)
        once = own.drop_duplicates("row")
        ends = once[["low", "high"]].clip(lower=0).to_numpy().T
        reach = np.nan_to_num(np.abs(ends - once["mean"].to_numpy()))
        marks = {"marker": marker, "linestyle": "none", "capsize": 3, "label": name, **shown}
        axes.errorbar(once["mean"], heights[once.index], xerr=reach, **marks)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
