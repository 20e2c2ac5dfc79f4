"""An image file as pixels, whatever it holds: grey, CMYK, palette, alpha, any orientation."""

import errno
import hashlib
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import PIL
from PIL import ExifTags, Image, ImageOps

from ..engine.digest import code_digest

_OF_THE_FILE = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # what sets an image of each orientation upright


def decoded(path: Path, side: int) -> np.ndarray:
    """The middle of the image in `path`, its shorter side scaled to `side` pixels, antialiased.

    It is turned as its EXIF data say, transparent parts are white, and grey becomes RGB.

    Returns
    -------
    uint8 (3, side, side), RGB.

    Raises
    ------
    Exception
        Of any type, as Pillow has them: the file is missing, truncated or no image.
    """
    with Image.open(path) as file:
        file.load()
        turn = _TURNS.get(_orientation(file))
        image = file.copy() if turn is None else file.transpose(turn)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode.startswith("I;16"):  # which PIL would clip at 255
        image = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
    image = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _orientation(image: Image.Image) -> int:
    """As its EXIF data have it, 1 to 8; 1 is upright, and so is an image whose data are broken.

    `ImageOps.exif_transpose` writes all of the data anew, which fails on tags that have nothing to
    do with the pixels.
    """
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except (struct.error, KeyError, SyntaxError, TypeError, ValueError):
        return 1


def attempted(root: Path, name: str, side: int) -> np.ndarray | str:
    """`decoded`, or in words which file is wrong, and how.

    Raises
    ------
    OSError
        The file system fails, as a disk or a network can: the file may be whole.
    """
    try:
        return decoded(root / name, side)
    except Exception as error:  # of many types, as files can be broken in many ways
        if isinstance(error, OSError) and error.errno not in (None, *_OF_THE_FILE):
            raise
        reason = str(error).replace(repr(str(root / name)), "it")
        return f"{root / name}: {reason or type(error).__name__}"


@cache
def decoder() -> str:
    """SHA-256, in hex, of what decodes: this code and the version of Pillow."""
    code = code_digest((attempted.__module__, attempted.__name__))
    return hashlib.sha256(f"{code} {PIL.__version__}".encode()).hexdigest()


def undecodable(told: Sequence[str]) -> str:
    """One message for all files that `attempted` told of."""
    files = f"{len(told)} image files" if len(told) > 1 else "an image file"
    lines = "\n  ".join(["", *sorted(told)])
    return f"{files} cannot be decoded; put whole ones in their place, or remove them:{lines}"
