"""Colours and small things that all figures share; those of methods are in `palette`."""

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers; the lightness differs too, for grey.
REAL, SYNTHETIC = "#0072B2", "#E69F00"
GREY = "#767676"
# Ten classes at most look different by colour; the next ten take another marker.
CLASSES = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#000000",
    "#56B4E9",
    "#D55E00",
    "#4527A0",
    "#7F3B08",
    "#555555",
)
MARKERS = ("o", "s", "^", "D", "v", "<", ">", "p", "d", "h")  # wide enough to be seen hollow


def ink(colour: object) -> str:
    """Black or white, whichever is read better on `colour`, by the contrast of WCAG 2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


def finished(figure: Figure) -> Figure:
    """`figure`, closed: otherwise a notebook shows it twice, once as the open figure."""
    plt.close(figure)
    return figure
