"""Colours and small things that all figures share; those of methods are in `palette`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# Okabe and Ito's palette, told apart by colour-blind readers; the lightness differs too, for grey.
REAL, SYNTHETIC = "#0072B2", "#E69F00"
GREY = "#767676"
# Ten classes at most look different by colour; the next ten take another marker.
CLASSES = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#000000"),
    *("#56B4E9", "#D55E00", "#4527A0", "#7F3B08", "#555555"),
)
MARKERS = ("o", "s", "^", "D", "v", "<", ">", "p", "d", "h")  # wide enough to be seen hollow


def panels(
    count: int, width: float, height: float, rows: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure and its first `count` axes, of which `rows` rows hold as few as they can.

    width, height : of all of it, in inches. options : of `plt.subplots`.
    """
    import matplotlib.pyplot as plt

    columns = -(-count // rows)
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
    )
    for axes in grid.flat[count:]:
        axes.remove()
    plt.close(figure)  # otherwise a notebook shows it twice, once as the open figure
    return figure, list(grid.flat[:count])


def legend_below(
    figure: Figure, panels: Iterable[Axes], names: Sequence[str] = (), **options: Any
) -> None:
    """One legend for all `panels`, below them; `names` come first, in their order."""
    found = dict.fromkeys(names)
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    options |= {"loc": "outside lower center", "frameon": False}
    figure.legend(list(found.values()), list(found), **options)


def images_of_classes(
    axes: Axes,
    real: Sequence[int],
    synthetic: Sequence[int] | None,
    names: tuple[str, str],
    **options: Any,
) -> None:
    """Bars of numbers of images per class, real and on top synthetic. names : of the legend."""
    places = range(len(real))
    axes.bar(places, real, color=REAL, label=names[0], **options)
    if synthetic is not None:
        options |= {"hatch": "//", "edgecolor": "white"}
        axes.bar(places, synthetic, bottom=real, color=SYNTHETIC, label=names[1], **options)


def heat_map(
    axes: Axes, values: np.ndarray, top: float, form: str = "", size: float = 8
) -> AxesImage:
    """Draw `values` (rows, columns), 0 to `top`, and each number in the format `form`, if any."""
    drawn = axes.imshow(values, cmap="cividis", vmin=0, vmax=top, aspect="auto")
    for (row, column), value in np.ndenumerate(values) if form else ():
        colour = "black" if value > 0.468 * top else "white"  # whichever has more contrast there
        text = {"color": colour, "ha": "center", "va": "center", "fontsize": size}
        axes.text(column, row, format(value, form), **text)
    return drawn


def outlined(artist: Artist, width: float, colour: str) -> None:
    """Draw `artist` on top of a wider line in `colour`, so that it is seen on any other."""
    from matplotlib.patheffects import withStroke

    artist.set_path_effects([withStroke(linewidth=width, foreground=colour)])
