"""Images decoded once, kept as raw pixels in one file, and mapped from there into memory.

    <packed>/<data set>-<key>/images.u8      the images, one after the other, in blocks
    <packed>/<data set>-<key>/manifest.json  of each block that is written its checksums (`Sums`)
    <packed>/<data set>-<key>.lock           held while they are written; a kill frees it

The key names files, sizes, times of change, the side and the decoder: where any of them differs
all is decoded anew, elsewhere. A block counts if it stands in the manifest and matches: so a kill
loses what is not finished, and damage costs the damaged blocks alone.
"""

import hashlib
import json
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from filelock import Timeout
from PIL import Image
from tqdm import tqdm

from ..errors import Halt, ReglError
from ..params import ROOT
from ..system import check_room, explained, locked, put
from .decoding import attempted, check_same, decoder, stat_of, stats_of, undecodable

PACKED = ROOT / ".store" / "packed"  # where the decoded images of data sets are kept
BLOCK = 250  # images; small enough to keep many cores busy with a small data set
PIXELS, MANIFEST = "images.u8", "manifest.json"

Sums = tuple[str, str]  # of a block: `_joint`, and the SHA-256 in hex of the bytes of its files


def packs(below: Path) -> list[Path]:
    """The folders of all packs in the folder `below`, whole or not."""
    return sorted(it for it in below.glob("*") if it.is_dir())


def remove(folder: Path) -> bool:
    """Delete the pack in `folder`, if it is there; False, and nothing done, if it is being written.

    A process that has mapped it keeps what it mapped. Raises Halt where access is denied.
    """
    with explained(folder), suppress(Timeout), _lock(folder, timeout=0):
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        return True
    return False


def _lock(folder: Path, timeout: float = -1) -> AbstractContextManager[None]:
    return locked(folder.with_name(f"{folder.name}.lock"), timeout)


@dataclass(frozen=True)
class Pack:
    """The decoded images of `files`, which lie below `root`, at `side` pixels.

    below : the folder in which packs lie. name : of the data set, for folder and messages.
    """

    name: str
    root: Path
    files: tuple[str, ...]
    side: int
    below: Path

    def mapped(self) -> tuple[np.ndarray, str]:
        """All images, uint8 (n, 3, side, side), mapped into memory, and a SHA-256 in hex.

        It is that of the images and of their files: these are read anew where images are wanted
        larger, and two files can be the same at `side` pixels. What is missing is decoded first.
        Any number of processes may ask at once: one writes. ReglError if files cannot be decoded
        (all are named), or the disk is too small.
        """
        sums = self._intact()
        if len(sums) < len(self._blocks):
            with self._explained(), _lock(self.folder):
                sums = self._completed()
        every = "".join(sums[block][0] for block in self._blocks)
        # Mode c: writable without ever reaching the file; torch warns of what is not writable.
        pixels = np.memmap(self.folder / PIXELS, np.uint8, mode="c", shape=self._shape)
        return pixels, hashlib.sha256(every.encode()).hexdigest()

    def bytes_missing(self) -> int:
        """How many bytes are to be written before the images can be mapped."""
        noted = self._noted()
        missing = sum(len(self._rows(block)) for block in self._blocks if block not in noted)
        return missing * 3 * self.side**2

    @cached_property
    def folder(self) -> Path:
        """Where they are kept; named by all that determines the pixels."""
        sha = hashlib.sha256(f"{self.side} {BLOCK} {decoder()}".encode())
        sha.update(json.dumps([self.files, self.stats.tolist()]).encode())
        words = re.sub(r"[^\w.-]+", "-", self.name)[-60:].strip("-")
        return self.below / f"{words}-{sha.hexdigest()[:16]}"

    @cached_property
    def stats(self) -> np.ndarray:
        """Of the files, when this was first asked: int64 (n, 2), as `stats_of` gives them."""
        return stats_of(self.root, self.files)

    @property
    def _blocks(self) -> range:
        """The first image of each block."""
        return range(0, len(self.files), BLOCK)

    def _rows(self, block: int) -> range:
        return range(block, min(block + BLOCK, len(self.files)))

    @property
    def _shape(self) -> tuple[int, ...]:
        return len(self.files), 3, self.side, self.side

    def _noted(self) -> dict[int, Sums]:
        """The sums of each block that the manifest names; none if it cannot be read."""
        try:
            found = json.loads((self.folder / MANIFEST).read_bytes()).items()
            sums = {int(block): (str(joint), str(files)) for block, (joint, files) in found}
            return {block: its for block, its in sums.items() if block in self._blocks}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _note(self, sums: dict[int, Sums]) -> None:
        put({MANIFEST: json.dumps(dict(sorted(sums.items())), indent=1).encode()}, self.folder)

    def _intact(self) -> dict[int, Sums]:
        """Those of `_noted` that are as they were written."""
        file = self.folder / PIXELS
        try:
            pixels = _sums(file, stat_of(file), self._shape, BLOCK)
        except (FileNotFoundError, ValueError):  # it is gone, or too short
            return {}
        noted = self._noted()
        return {k: its for k, its in noted.items() if its[0] == _joint(pixels[k], its[1])}

    def _completed(self) -> dict[int, Sums]:
        """Decode and write all blocks that are missing, under the lock; the sums of every block."""
        noted, sums, told = self._noted(), self._intact(), []
        if noted != sums:
            warnings.warn(
                f"{self.folder} is damaged in {len(noted) - len(sums)} of {len(self._blocks)} "
                "blocks of images, which are decoded anew",
                stacklevel=3,
            )
        if len(sums) == len(self._blocks):  # another process has written them meanwhile
            return sums
        check_room(self.bytes_missing(), self.below, f"data set {self.name}: its decoded images")
        self._note(sums)  # a damaged block is not to be found there if this is cut short
        with (self.folder / PIXELS).open("ab") as file:
            file.truncate(int(np.prod(self._shape)))
        missing = [block for block in self._blocks if block not in sums]
        Image.init()  # before threads find the formats half known
        bar = tqdm(
            desc=f"decoding {self.name}",
            total=sum(len(self._rows(block)) for block in missing),
            unit=" images",
            mininterval=0.2 if sys.stderr.isatty() else 5.0,  # seconds; a log keeps every line
        )
        with bar, ThreadPoolExecutor() as pool:
            for block, (its, problems) in zip(missing, pool.map(self._block, missing), strict=True):
                told += problems
                if not told:
                    sums[block] = its
                    self._note(sums)
                bar.update(len(self._rows(block)))
        if told:
            shutil.rmtree(self.folder)
            raise ReglError(f"data set {self.name}: {undecodable(told)}")
        return sums

    def _block(self, block: int) -> tuple[Sums, list[str]]:
        """Decode and write a block: its sums, and which of its files were not decoded."""
        pixels, files, told = hashlib.sha256(), hashlib.sha256(), []
        with (self.folder / PIXELS).open("r+b") as opened:
            opened.seek(block * 3 * self.side**2)
            for row in self._rows(block):
                path = self.root / self.files[row]
                found = attempted(self.root, self.files[row], self.side)
                if isinstance(found, str):
                    told.append(found)
                    continue
                opened.write(found)
                pixels.update(found)
                with path.open("rb") as file:
                    files.update(hashlib.file_digest(file, "sha256").digest())
                check_same(path, self.stats[row])
        read = files.hexdigest()
        return (_joint(pixels.hexdigest(), read), read), told

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the file system refuses into an error that says what to do."""
        try:
            with explained(self.below):
                yield
        except OSError as error:
            what = f"data set {self.name}: {error}; see to it and run again"
            raise Halt(f"{what}: what is decoded is kept") from error


def _joint(pixels: str, files: str) -> str:
    """One SHA-256, in hex, of both of a block, so that neither can change alone."""
    return hashlib.sha256(f"{pixels} {files}".encode()).hexdigest()


@lru_cache(maxsize=64)
def _sums(file: Path, stat: tuple[int, int], shape: tuple[int, ...], block: int) -> dict[int, str]:
    """SHA-256, in hex, of every `block` images in `file`, by the first of them.

    It is read once per process, and again when its `stat` has changed. ValueError if it is too
    short.
    """
    images = np.memmap(file, np.uint8, mode="r", shape=shape)
    starts = range(0, len(images), block)
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda i: hashlib.sha256(images[i : i + block]).hexdigest(), starts)
        return dict(zip(starts, found, strict=True))
