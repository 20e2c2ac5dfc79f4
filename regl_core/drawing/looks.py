"""Colours and small things that all figures share."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers; the lightness differs too, for grey.
REAL, SYNTHETIC, BEFORE, AFTER = "#0072B2", "#E69F00", "#009E73", "#D55E00"
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
    "#44AA99",
    "#8C564B",
    "#999999",
)
MARKERS = ("o", "s", "^", "D", "v", "X", "P", "*", "<", ">")


def finished(figure: Figure) -> Figure:
    """`figure`, closed: otherwise a notebook shows it twice, once as the open figure."""
    plt.close(figure)
    return figure
