"""Images decoded once, kept as raw pixels in one file, and mapped from there into memory.

    <packed>/<data set>-<key>/images.u8      uint8 (n, 3, side, side), image after image
    <packed>/<data set>-<key>/manifest.json  SHA-256 of each block of images that is written
    <packed>/<data set>-<key>.lock           held while blocks are written; a kill frees it

The key names files, sizes, times of change, the side and the decoder: where any of them differs
all is packed anew, elsewhere. A block counts if it stands in the manifest and matches; a kill
loses what is not finished, and damage costs the damaged blocks alone.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import sys
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ..errors import Halt, ReglError
from ..files import put
from .decoding import attempted, decoder, undecodable

BLOCK = 1000  # images
PIXELS, MANIFEST = "images.u8", "manifest.json"


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

    def mapped(self) -> tuple[Tensor, str]:
        """All images, uint8 (n, 3, side, side), mapped into memory, and their SHA-256 in hex.

        What is missing is decoded first. Any number of processes may ask at once: one packs.

        Raises
        ------
        ReglError
            Files cannot be decoded (all are named), or the disk is too small.
        """
        if self._missing():
            self.below.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.folder}.lock", poll_interval=0.1):
                if missing := self._missing(told=True):
                    self._write(missing)
        shape = (len(self.files), 3, self.side, self.side)
        # Mode c: writable without ever reaching the file; torch warns of what is not writable.
        pixels = np.memmap(self.folder / PIXELS, np.uint8, mode="c", shape=shape)
        blocks = [sha for _, sha in sorted(self._manifest().items())]
        return torch.from_numpy(pixels), hashlib.sha256("".join(blocks).encode()).hexdigest()

    def bytes_missing(self) -> int:
        """How many bytes are to be written before the images can be mapped."""
        written = self._manifest()
        return sum(self._bytes(block) for block in self._blocks if block not in written)

    @cached_property
    def key(self) -> str:
        """SHA-256, in hex, of all that determines the pixels."""
        with ThreadPoolExecutor() as pool:  # a file system far away takes its time
            stats = list(pool.map(lambda name: os.stat(self.root / name), self.files))
        sha = hashlib.sha256(f"{self.side} {BLOCK} {decoder()}".encode())
        for name, stat in zip(self.files, stats, strict=True):
            sha.update(json.dumps([name, stat.st_size, stat.st_mtime_ns]).encode())
        return sha.hexdigest()

    @cached_property
    def folder(self) -> Path:
        """Where the pixels lie."""
        words = re.sub(r"[^\w.-]+", "-", self.name)[-60:].strip("-")
        return self.below / f"{words}-{self.key[:16]}"

    @property
    def _blocks(self) -> range:
        return range(-(-len(self.files) // BLOCK))

    def _rows(self, block: int) -> range:
        return range(block * BLOCK, min((block + 1) * BLOCK, len(self.files)))

    def _bytes(self, block: int) -> int:
        return len(self._rows(block)) * 3 * self.side**2

    def _manifest(self) -> dict[int, str]:
        """The SHA-256 of each block that is written; none if the file is not as it was written."""
        try:
            found = json.loads((self.folder / MANIFEST).read_bytes())
            blocks = {int(block): str(sha) for block, sha in found["blocks"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}
        return {block: sha for block, sha in blocks.items() if block in self._blocks}

    def _missing(self, told: bool = False) -> list[int]:
        """The blocks that are not written, or damaged; `told` warns of these."""
        written, file = self._manifest(), self.folder / PIXELS
        damaged: tuple[int, ...] = ()
        if written:
            stat = file.stat() if file.exists() else None
            known = (stat.st_mtime_ns, stat.st_size) if stat else (0, 0)
            sizes = tuple(
                (block * BLOCK * 3 * self.side**2, self._bytes(block)) for block in written
            )
            damaged = _damaged(file, *known, tuple(written.items()), sizes)
        if damaged and told:
            warnings.warn(
                f"{self.folder} is damaged in {len(damaged)} of {len(self._blocks)} blocks of "
                "images, which are decoded anew",
                stacklevel=3,
            )
        return [block for block in self._blocks if block not in written or block in damaged]

    def _write(self, missing: Sequence[int]) -> None:
        """Decode and write the blocks `missing`. The caller holds the lock."""
        self._check_disk(sum(map(self._bytes, missing)))
        self.folder.mkdir(exist_ok=True)
        file = self.folder / PIXELS
        file.touch()
        os.truncate(file, len(self.files) * 3 * self.side**2)
        written = {k: sha for k, sha in self._manifest().items() if k not in missing}
        told: list[str] = []
        stop = threading.Event()
        Image.init()  # before threads find the formats half known
        with self._bar(missing) as bar, ThreadPoolExecutor() as pool:
            try:
                for done in as_completed(
                    [pool.submit(self._block, block, stop) for block in missing]
                ):
                    block, sha, problems = done.result()
                    told += problems
                    if not told:
                        written[block] = sha
                        self._note(written)
                    bar.update(len(self._rows(block)))
            except OSError as error:
                stop.set()
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise Halt(_full(self.below)) from error
                raise
            except BaseException:
                stop.set()
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        if told:
            shutil.rmtree(self.folder)
            raise ReglError(f"data set {self.name}: {undecodable(told)}")

    def _block(self, block: int, stop: threading.Event) -> tuple[int, str, list[str]]:
        """Decode and write one block: its number, its SHA-256, and which files were not decoded."""
        sha, told = hashlib.sha256(), []
        with (self.folder / PIXELS).open("r+b") as file:
            file.seek(block * BLOCK * 3 * self.side**2)
            for row in self._rows(block):
                if stop.is_set():
                    break
                found = attempted(self.root, self.files[row], self.side)
                if isinstance(found, str):
                    told.append(found)
                else:
                    file.write(found)
                    sha.update(found)
        return block, sha.hexdigest(), told

    def _note(self, written: dict[int, str]) -> None:
        put({MANIFEST: json.dumps({"blocks": written}, indent=1).encode()}, self.folder)

    def _check_disk(self, needed: int) -> None:
        free = shutil.disk_usage(self.below).free
        if free < needed:
            raise ReglError(
                f"data set {self.name}: its decoded images need {needed / 1e9:.1f} GB more below "
                f"{self.below}, where {free / 1e9:.1f} GB are free; free some space"
            )

    def _bar(self, missing: Sequence[int]) -> tqdm:
        every = sum(len(self._rows(block)) for block in missing)
        return tqdm(
            desc=f"decoding {self.name}",
            total=len(self.files),
            initial=len(self.files) - every,
            unit=" images",
            mininterval=0.2 if sys.stderr.isatty() else 5.0,  # seconds; a log keeps every line
        )


@lru_cache(maxsize=64)
def _damaged(
    file: Path,
    mtime_ns: int,
    size: int,
    written: tuple[tuple[int, str], ...],
    places: tuple[tuple[int, int], ...],
) -> tuple[int, ...]:
    """Which of the blocks `written`, at `places` (start, bytes), are not as they were written.

    Read once per process for a file of that time and size.
    """

    def intact(block: tuple[int, str], place: tuple[int, int]) -> bool:
        with file.open("rb") as opened:
            opened.seek(place[0])
            sha, left = hashlib.sha256(), place[1]
            while left and (part := opened.read(min(left, 2**20))):
                sha.update(part)
                left -= len(part)
        return sha.hexdigest() == block[1]

    if not size:
        return tuple(block for block, _ in written)
    with ThreadPoolExecutor() as pool:
        whole = pool.map(intact, written, places)
        return tuple(block for (block, _), good in zip(written, whole, strict=True) if not good)


def _full(folder: Path) -> str:
    return (
        f"the disk is full, nothing more fits below {folder}; free some space and run again: what "
        "is decoded is kept"
    )
