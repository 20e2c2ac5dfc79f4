"""A file of raw images that is written block by block, and what is known to be whole of it.

    images.u8      the images, one after the other
    manifest.json  of each block of images that is written its SHA-256, and that of its files

A block counts if it stands in the manifest and matches. So a kill loses what is not finished, and
damage costs the damaged blocks alone.
"""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ..system import put

BLOCK = 250  # images; small enough to keep many cores busy with a small data set
PIXELS, MANIFEST = "images.u8", "manifest.json"

Place = tuple[int, int]  # where a block starts, and how long it is, in bytes


class Sums(NamedTuple):
    """SHA-256, in hex, of what a block is.

    files : of the bytes of the files it was decoded from
    whole : of its pixels and then of `files`, so that neither can change alone
    """

    whole: str
    files: str


@dataclass(frozen=True)
class Blocks:
    """`count` images of `size` bytes each, in `folder`."""

    folder: Path
    count: int
    size: int

    @property
    def file(self) -> Path:
        """Where the images are."""
        return self.folder / PIXELS

    @property
    def numbers(self) -> range:
        """Of all blocks."""
        return range(-(-self.count // BLOCK))

    def rows(self, block: int) -> range:
        """The images of a block."""
        return range(block * BLOCK, min((block + 1) * BLOCK, self.count))

    def place(self, block: int) -> Place:
        """Of a block in the file."""
        return block * BLOCK * self.size, len(self.rows(block)) * self.size

    def noted(self) -> dict[int, Sums]:
        """The sums of each block that the manifest names; none if it cannot be read."""
        try:
            found = json.loads((self.folder / MANIFEST).read_bytes())["blocks"]
            sums = {int(k): Sums(*map(str, its)) for k, its in found.items()}
            return {k: its for k, its in sums.items() if k in self.numbers}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def note(self, written: Mapping[int, Sums]) -> None:
        """Write the manifest."""
        content = json.dumps({"blocks": dict(sorted(written.items()))}, indent=1)
        put({MANIFEST: content.encode()}, self.folder)

    def intact(self) -> dict[int, Sums]:
        """Those of `noted` that are as they were written.

        They are compared once per process, and again when the file's time or size has changed.
        """
        noted = self.noted()
        try:
            stat = self.file.stat()
        except FileNotFoundError:
            return {}
        places = tuple(map(self.place, noted))
        known = stat.st_mtime_ns, stat.st_size
        whole = _whole(self.file, known, tuple(noted.values()), places)
        return {k: its for (k, its), good in zip(noted.items(), whole, strict=True) if good}


@lru_cache(maxsize=64)
def _whole(
    file: Path, known: tuple[int, int], sums: tuple[Sums, ...], places: tuple[Place, ...]
) -> tuple[bool, ...]:
    """Whether each of `places` in `file` has its sums; `known` are its time and size."""

    def good(its: Sums, place: Place) -> bool:
        start, left = place
        sha = hashlib.sha256()
        with file.open("rb") as opened:
            opened.seek(start)
            while left and (part := opened.read(min(left, 2**20))):
                sha.update(part)
                left -= len(part)
        sha.update(its.files.encode())
        return sha.hexdigest() == its.whole

    with ThreadPoolExecutor() as pool:
        return tuple(pool.map(good, sums, places))
