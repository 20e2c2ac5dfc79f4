"""The pictures as PNG, drawn without pyplot: widgets redraw them from several threads at once."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from ..data import resized
from ..report import heat_map, method_styles, named, recovery

FRAME = "#D55E00"
NUMBERS = 400  # cells; in a map of more, the numbers could not be read
SIDE = 64  # pixels of an image on the screen; smaller ones are enlarged, larger ones reduced
GAP = 4  # pixels
SHOWN = 12  # images in a strip


def ownership(counts: np.ndarray, classes: Sequence[str], client: int, added: int) -> bytes:
    """Who owns what, and beside it what `client` has once `added` images per class are drawn.

    counts: int (clients, classes), of real images; the client's row is framed.
    """
    figure, clients = Figure(figsize=(10.4, 4.3)), len(counts)
    owners, bars = figure.subplots(1, 2, width_ratios=(1.25, 1))
    figure.subplots_adjust(left=0.085, right=0.985, bottom=0.19, top=0.91, wspace=0.27)
    form, size = "d" if counts.size <= NUMBERS else "", 9 if clients <= 12 else 7
    shown = heat_map(owners, counts, max(1, counts.max()), form, size)
    corner, width = (-0.5, client - 0.5), counts.shape[1]
    owners.add_patch(Rectangle(corner, width, 1, fill=False, ec=FRAME, lw=2.5, clip_on=False))
    rows = np.arange(0, clients, max(1, clients // 20))
    owners.set_yticks(rows, [f"{i}  ({counts[i].sum()})" for i in rows], fontsize=size)
    owners.set_ylabel("client (its real images)")
    owners.set_title("Who owns how many images of a class", fontsize=11)
    named(owners, classes)
    if not form:
        figure.colorbar(shown, ax=owners, pad=0.02, fraction=0.05).set_label("real images")
    recovery(bars, counts[client], [added] * width, classes)
    bars.set_ylim(0, 1.18 * (counts.max() + added))  # of all clients: they can be compared
    bars.set_title(f"What recovery adds to client {client}", fontsize=11)
    bars.legend(loc="upper center", ncols=2, frameon=False, fontsize=9)
    bars.yaxis.set_major_locator(MaxNLocator(integer=True))
    return _png(figure)


def curves(found: Mapping[str, Sequence[float]], rounds: int, title: str) -> bytes:
    """Test accuracy in % after each round so far, by method; axes for all `rounds` to come."""
    figure = Figure(figsize=(7.2, 4.3))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.09, right=0.97, bottom=0.25, top=0.92)
    styles = method_styles(list(found))
    for method, points in found.items():
        last = f": {points[-1]:.1f} % after round {len(points)}" if points else ": no round yet"
        numbers, style = range(1, len(points) + 1), styles[method]
        axes.plot(numbers, points, label=method + last, clip_on=False, **style)
    axes.set(xlim=(0.5, rounds + 0.5), ylim=(0, 100))
    axes.set(xlabel="communication round", ylabel="test accuracy (%)")
    axes.set_title(title, fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    figure.legend(loc="lower center", ncols=2, frameon=False, fontsize=9, handlelength=3.5)
    axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def strip(images: Tensor) -> bytes:
    """The first of uint8 images (n, 3, side, side), side by side on white; n is above 0.

    Small images are enlarged by whole pixels, so that what is seen is what a network sees.
    """
    side = images.shape[-1]
    shown = resized(images[:SHOWN], min(side, SIDE)).permute(0, 2, 3, 1).numpy()
    times = max(1, SIDE // side)
    shown = shown.repeat(times, axis=1).repeat(times, axis=2)
    framed = np.pad(shown, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=255)
    file = io.BytesIO()
    Image.fromarray(np.concatenate(framed, axis=1)).save(file, "png")
    return file.getvalue()


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    # A third of the time to compress is saved for a file that never leaves the machine.
    FigureCanvasAgg(figure).print_png(file, pil_kwargs={"compress_level": 1})
    return file.getvalue()
