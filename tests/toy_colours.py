"""Colours as three kinds of eyes see them, and how far apart they are."""

import numpy as np
from matplotlib.colors import to_rgb

# Machado et al. 2009, "A physiologically-based model for simulation of color vision deficiency",
# severity 1, on linear RGB. Tritanopia, far rarer, is left out.
EYES = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
WHITE = [0.9505, 1, 1.089]


def linear(colour: object) -> np.ndarray:
    """Linear RGB, 0 to 1."""
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def distance(one: object, other: object, eyes: str) -> float:
    """CIE76 difference of two colours as `eyes` see them; 2 is just seen side by side."""
    return float(np.linalg.norm(_lab(one, eyes) - _lab(other, eyes)))


def contrast(one: object, other: object) -> float:
    """WCAG 2's contrast of two colours, 1 to 21."""
    low, high = sorted(float(linear(colour) @ np.array(XYZ)[1]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def _lab(colour: object, eyes: str) -> np.ndarray:
    seen = np.clip(np.array(EYES[eyes]) @ linear(colour), 0, 1)
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in XYZ @ seen / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
