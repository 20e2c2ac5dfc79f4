"""An image file as pixels, whatever it holds: grey, CMYK, palette, alpha, any orientation.

The files of a data set are decoded once, block by block: each is a stage (`Decoded`) in a store,
so a kill or damage costs no more than the blocks it meets, and many processes can share them.
"""

import errno
import hashlib
import os
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL
from PIL import ExifTags, Image, ImageOps
from tqdm import tqdm

from ..engine import Stage, Store, code_digest, not_in_key
from ..errors import Halt, ReglError
from ..system import check_room, one_thread

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 1000  # images; small enough to keep many cores busy, and for a kill to cost seconds
PIXELS, DIGEST = "images.u8", "digest.txt"

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


def attempted(path: Path, side: int) -> np.ndarray | str:
    """`decoded`, or in words which file is wrong, and how.

    Raises
    ------
    OSError
        The file system fails, as a disk or a network can: the file may be whole.
    """
    try:
        return decoded(path, side)
    except Exception as error:  # of many types, as files can be broken in many ways
        if isinstance(error, OSError) and error.errno not in (None, *_OF_THE_FILE):
            raise
        reason = str(error).replace(repr(str(path)), "it")
        return f"{path}: {reason or type(error).__name__}"


class Undecodable(ReglError):
    """Files cannot be decoded: `told`, a line each."""

    def __init__(self, told: Sequence[str]) -> None:
        self.told = told
        files = f"{len(told)} image files" if len(told) > 1 else "an image file"
        lines = "\n  ".join(["", *sorted(told)])
        super().__init__(
            f"{files} cannot be decoded; put whole ones in their place, or remove them:{lines}"
        )


def stat_of(path: Path) -> tuple[int, int]:
    """Bytes and time of change, in ns, of a file."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


@not_in_key
def check_same(path: Path, stat: tuple[int, int]) -> None:
    """Halt if `stat_of` the file in `path` is not `stat`: results are named by what it was."""
    try:
        same = stat_of(path) == stat
    except FileNotFoundError:
        same = False
    if not same:
        raise Halt(f"{path} has changed while this program ran; run it again")


@dataclass(frozen=True)
class Decoded(Stage):
    """Some images of a data set, decoded.

    Writes images.u8: uint8 (n, 3, side, side); and digest.txt: SHA-256, in hex, of these and of
    the bytes of their files: they are read anew where images are wanted larger, and two files can
    be the same at `side` pixels.

    files, stats : paths below `root`, and `stat_of` each; where it differs all is decoded anew
    """

    root: str
    files: tuple[str, ...]
    stats: tuple[tuple[int, int], ...]
    side: int

    def compute(
        self, folder: Path, inputs: tuple[Path, ...], tick: Callable[[float], None]
    ) -> None:
        sha, told = hashlib.sha256(), []
        with Path(folder, PIXELS).open("wb") as file:
            for name, stat in zip(self.files, self.stats, strict=True):
                path = Path(self.root, name)
                found = attempted(path, self.side)
                if isinstance(found, str):
                    told.append(found)
                    continue
                file.write(found)
                sha.update(found)
                sha.update(path.read_bytes())
                check_same(path, stat)
        if told:
            raise Undecodable(told)
        Path(folder, DIGEST).write_text(sha.hexdigest())


def blocks(root: Path, files: tuple[str, ...], side: int) -> tuple[Decoded, ...]:
    """The stages that decode `files`, in their order, as the files are now."""

    def block(start: int) -> Decoded:
        names = files[start : start + BLOCK]
        return Decoded(str(root), names, tuple(stat_of(root / name) for name in names), side)

    with ThreadPoolExecutor() as pool:  # a file system far away takes its time
        return tuple(pool.map(block, range(0, len(files), BLOCK)))


def missing(several: Sequence[Decoded], store: Store) -> list[Decoded]:
    """Those that `store` lacks; what is there is compared with its checksums."""
    with ThreadPoolExecutor() as pool:
        there = pool.map(store.has, several)
        return [block for block, found in zip(several, there, strict=True) if not found]


def mapped(several: Sequence[Decoded], store: Store, name: str) -> tuple[list[np.ndarray], str]:
    """The images of all blocks, mapped into memory, and a SHA-256, in hex, of their digests.

    What is missing is decoded first, a block per thread. Any number of processes may ask at once.

    Raises
    ------
    ReglError
        Files cannot be decoded (all are named), or the disk is too small, for data set `name`.
    """
    if lacking := missing(several, store):
        check_room(written(lacking), store.root, f"data set {name}: its decoded images")
        _decode(lacking, store, name)
    folders = [store.path(block) for block in several]
    every = "".join((folder / DIGEST).read_text() for folder in folders)
    # Mode c: writable without ever reaching the file; torch warns of what is not writable.
    pixels = [
        np.memmap(folder / PIXELS, np.uint8, "c", shape=(len(it.files), 3, it.side, it.side))
        for folder, it in zip(folders, several, strict=True)
    ]
    return pixels, hashlib.sha256(every.encode()).hexdigest()


def written(several: Sequence[Decoded]) -> int:
    """How many bytes decoding them writes."""
    return sum(3 * block.side**2 * len(block.files) for block in several)


def _decode(several: Sequence[Decoded], store: Store, name: str) -> None:
    def wrong(block: Decoded) -> Sequence[str]:
        try:
            store.ensure(block)
            return ()
        except Undecodable as error:
            return error.told

    Image.init()  # before threads find the formats half known
    try:
        with one_thread(), ThreadPoolExecutor() as pool:
            found = tqdm(pool.map(wrong, several), f"decoding {name}", len(several), unit=" blocks")
            if told := [line for its in found for line in its]:
                raise ReglError(f"data set {name}: {Undecodable(told)}")
    except OSError as error:
        what = f"data set {name}: {error}; see to it and run again"
        raise Halt(f"{what}: what is decoded is kept") from error


@dataclass(frozen=True, eq=False)
class Originals:
    """The image files behind a split.

    files : all of the data set, and `stat_of` each when their digest was known
    sha : of their bytes and decoded images (`mapped`)
    rows : int64 (n,), which of them are the split's
    """

    files: Sequence[tuple[Path, tuple[int, int]]]
    sha: str
    rows: np.ndarray

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the files, the images, their order, and the code that decodes.

        Stages see this in place of that code: they read images anew through `pictures`.
        """
        code = code_digest((__name__, type(self).__name__))
        sha = hashlib.sha256(f"{self.sha} {code} {PIL.__version__}".encode())
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

        files = [self.files[row] for row in self.rows[index.numpy()].tolist()]
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda it: attempted(it[0], side), files))
        if told := [it for it in found if isinstance(it, str)]:
            raise Undecodable(told)
        for path, stat in files:  # after reading: what changes meanwhile is seen too
            check_same(path, stat)
        return from_numpy(np.array(found, dtype=np.uint8).reshape(-1, 3, side, side))
