"""A row of images as one PNG."""

import io

import numpy as np
import torch
from PIL import Image

from ..data import resized

SIDE = 64  # pixels on the screen; smaller images are enlarged, larger ones reduced
GAP = 4  # pixels
COLUMNS = 12


def row(images: torch.Tensor) -> bytes:
    """The first `COLUMNS` of uint8 images (n, 3, side, side), side by side on white; n is above 0.

    Small images are enlarged by whole pixels, so that what is seen is what a network sees.
    """
    side = images.shape[-1]
    shown = resized(images[:COLUMNS], min(side, SIDE)).permute(0, 2, 3, 1).numpy()
    times = max(1, SIDE // side)
    shown = shown.repeat(times, axis=1).repeat(times, axis=2)
    framed = np.pad(shown, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=255)
    file = io.BytesIO()
    Image.fromarray(np.concatenate(framed, axis=1)).save(file, "png")
    return file.getvalue()
