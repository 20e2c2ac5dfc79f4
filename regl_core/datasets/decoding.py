"""An image file as pixels, whatever it holds: grey, CMYK, palette, alpha, any orientation."""

import errno
import hashlib
import os
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL
from PIL import ExifTags, Image, ImageOps

from ..engine import code_digest, not_in_key
from ..errors import Halt, ReglError

if TYPE_CHECKING:
    from torch import Tensor

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


def stat_of(path: Path) -> tuple[int, int]:
    """Bytes and time of change, in ns, of a file."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


def stats_of(root: Path, files: Sequence[str]) -> np.ndarray:
    """`stat_of` each of `files` below `root`: int64 (n, 2)."""
    with ThreadPoolExecutor() as pool:  # a file system far away takes its time
        several = (files[start : start + 250] for start in range(0, len(files), 250))
        found = pool.map(lambda names: [stat_of(root / name) for name in names], several)
        stats = [stat for part in found for stat in part]
    return np.array(stats, dtype=np.int64).reshape(-1, 2)


@not_in_key
def check_same(path: Path, stat: Sequence[int]) -> None:
    """Halt if `stat_of` the file in `path` is not `stat`: results are named by what it was."""
    try:
        same = stat_of(path) == tuple(stat)
    except FileNotFoundError:
        same = False
    if not same:
        raise Halt(f"{path} has changed while this program ran; run it again")


@dataclass(frozen=True, eq=False)
class Originals:
    """The image files behind a split (`data.Origin`).

    root, files : all files of the data set, by their path below a folder
    stats : int64 (m, 2), their sizes and times when their digest was known (`stats_of`)
    sha : of their bytes and decoded images (`Pack.mapped`)
    rows : int64 (n,), which of them are the split's
    """

    root: Path
    files: Sequence[str]
    stats: np.ndarray
    sha: str
    rows: np.ndarray

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the files, the images, their order, and the code that decodes.

        Stages see this in place of that code: they read images anew through `pictures`.
        """
        code = code_digest((__name__, type(self).__name__))
        sha = hashlib.sha256(f"{self.sha} {decoder()} {code}".encode())
        sha.update(self.rows.tobytes())
        return sha.hexdigest()

    def view(self, index: "Tensor") -> "Originals":
        """Of the images at `index`, in that order."""
        return replace(self, rows=self.rows[index.numpy()])

    def pictures(self, index: "Tensor", side: int) -> "Tensor":
        """Those at `index`, decoded anew: uint8 (k, 3, side, side).

        ReglError if one cannot be, Halt if a file is no longer as it was.
        """
        from torch import from_numpy

        rows = self.rows[index.numpy()].tolist()
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda row: attempted(self.root, self.files[row], side), rows))
        if told := [it for it in found if isinstance(it, str)]:
            raise ReglError(undecodable(told))
        for row in rows:  # after reading: what changes meanwhile is seen too
            check_same(self.root / self.files[row], self.stats[row])
        return from_numpy(np.array(found, dtype=np.uint8).reshape(-1, 3, side, side))
