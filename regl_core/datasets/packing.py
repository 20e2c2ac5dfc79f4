"""Images decoded once, kept as raw pixels in one file, and mapped from there into memory.

    <packed>/<data set>-<key>/      the images (`blocks`)
    <packed>/<data set>-<key>.lock  held while they are written; a kill frees it

The key names files, sizes, times of change, the side and the decoder: where any of them differs
all is decoded anew, elsewhere.
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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from filelock import Timeout
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ..engine import not_in_key
from ..errors import Halt, ReglError
from ..system import explained, locked
from .blocks import BLOCK, Blocks, Sums
from .decoding import attempted, decoder, undecodable


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


def stat_of(path: Path) -> tuple[int, int]:
    """Bytes and time of change, in ns, of a file."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


@not_in_key
def check_same(path: Path, stat: Sequence[int]) -> None:
    """Halt if `stat_of` the file in `path` is not `stat`: results are named by what it was."""
    try:
        same = stat_of(path) == tuple(stat)
    except FileNotFoundError:
        same = False
    if not same:
        raise Halt(f"{path} has changed while this program ran; run it again")


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
        """All images, uint8 (n, 3, side, side), mapped into memory, and a SHA-256 in hex.

        It is that of the images and of the bytes of their files: these are read anew where images
        are wanted larger, and two files can be the same at `side` pixels.

        What is missing is decoded first. Any number of processes may ask at once: one writes.

        Raises
        ------
        ReglError
            Files cannot be decoded (all are named), or the disk is too small.
        """
        blocks = self.blocks
        written = blocks.intact()
        if len(written) < len(blocks.numbers):
            self.below.mkdir(parents=True, exist_ok=True)
            with _lock(blocks.folder), self._explained():
                noted, written = blocks.noted(), blocks.intact()
                if noted != written:
                    warnings.warn(
                        f"{blocks.folder} is damaged in {len(noted) - len(written)} of "
                        f"{len(blocks.numbers)} blocks of images, which are decoded anew",
                        stacklevel=2,
                    )
                if len(written) < len(blocks.numbers):
                    written = self._write(written)
        shape = (len(self.files), 3, self.side, self.side)
        # Mode c: writable without ever reaching the file; torch warns of what is not writable.
        pixels = np.memmap(blocks.file, np.uint8, mode="c", shape=shape)
        every = "".join(written[block].whole for block in blocks.numbers)
        return torch.from_numpy(pixels), hashlib.sha256(every.encode()).hexdigest()

    def bytes_missing(self) -> int:
        """How many bytes are to be written before the images can be mapped."""
        return self._bytes_without(self.blocks.noted())

    @cached_property
    def key(self) -> str:
        """SHA-256, in hex, of all that determines the pixels."""
        sha = hashlib.sha256(f"{self.side} {BLOCK} {decoder()}".encode())
        sha.update(json.dumps([self.files, self.stats.tolist()]).encode())
        return sha.hexdigest()

    @cached_property
    def stats(self) -> np.ndarray:
        """What `stat_of` each file was when this was first asked: int64 (n, 2)."""
        parts = [self.files[i : i + BLOCK] for i in range(0, len(self.files), BLOCK)]
        with ThreadPoolExecutor() as pool:  # a file system far away takes its time
            stats = [stat for part in pool.map(self._stats, parts) for stat in part]
        return np.array(stats, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def blocks(self) -> Blocks:
        """Where the pixels lie."""
        words = re.sub(r"[^\w.-]+", "-", self.name)[-60:].strip("-")
        folder = self.below / f"{words}-{self.key[:16]}"
        return Blocks(folder, len(self.files), 3 * self.side**2)

    def _stats(self, names: Sequence[str]) -> list[tuple[int, int]]:
        return [stat_of(self.root / name) for name in names]

    def _bytes_without(self, written: dict[int, Sums]) -> int:
        blocks = self.blocks
        return sum(blocks.place(block)[1] for block in blocks.numbers if block not in written)

    def _write(self, written: dict[int, Sums]) -> dict[int, Sums]:
        """Decode and write all blocks but those `written`; the sums of each block there is.

        The caller holds the lock.
        """
        blocks = self.blocks
        self._check_disk(self._bytes_without(written))
        blocks.folder.mkdir(exist_ok=True)
        blocks.note(written)  # a damaged block is not to be found there if this is cut short
        blocks.file.touch()
        os.truncate(blocks.file, len(self.files) * blocks.size)
        told: list[str] = []
        for block, sums, problems in self._decoded(
            [block for block in blocks.numbers if block not in written]
        ):
            told += problems
            if not told:
                written[block] = sums
                blocks.note(written)
        if told:
            shutil.rmtree(blocks.folder)
            raise ReglError(f"data set {self.name}: {undecodable(told)}")
        return written

    def _decoded(self, missing: Sequence[int]) -> Iterator[tuple[int, Sums, list[str]]]:
        """What `_block` gives for each block, by as many threads as there are cores."""
        stop = threading.Event()
        Image.init()  # before threads find the formats half known
        images = {block: len(self.blocks.rows(block)) for block in missing}
        with self._bar(sum(images.values())) as bar, ThreadPoolExecutor() as pool:
            try:
                waiting = [pool.submit(self._block, block, stop) for block in missing]
                for done in as_completed(waiting):
                    yield done.result()
                    bar.update(images[done.result()[0]])
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)

    def _block(self, block: int, stop: threading.Event) -> tuple[int, Sums, list[str]]:
        """Decode and write one block: its number, its sums, and which files were not decoded."""
        sha, files, told = hashlib.sha256(), hashlib.sha256(), []
        with self.blocks.file.open("r+b") as file:
            file.seek(self.blocks.place(block)[0])
            for row in self.blocks.rows(block):
                if stop.is_set():
                    break
                found = attempted(self.root, self.files[row], self.side)
                if isinstance(found, str):
                    told.append(found)
                else:
                    file.write(found)
                    sha.update(found)
                    files.update(self._sum(row))
        sha.update(files.hexdigest().encode())
        return block, Sums(sha.hexdigest(), files.hexdigest()), told

    def _sum(self, row: int) -> bytes:
        """SHA-256 of a file, just decoded. Halt if that is no longer the one that `stats` saw."""
        path = self.root / self.files[row]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").digest()
        check_same(path, self.stats[row])
        return found

    def _check_disk(self, needed: int) -> None:
        free = shutil.disk_usage(self.below).free
        if free < needed:
            raise ReglError(
                f"data set {self.name}: its decoded images need {needed / 1e9:.1f} GB more below "
                f"{self.below}, where {free / 1e9:.1f} GB are free; free some space"
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the file system refuses into an error that says what to do."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                text = f"the disk is full, nothing more fits below {self.below}; free some space"
            else:
                text = f"data set {self.name}: {error}; see to it"
            raise Halt(f"{text} and run again: what is decoded is kept") from error

    def _bar(self, images: int) -> tqdm:
        return tqdm(
            desc=f"decoding {self.name}",
            total=len(self.files),
            initial=len(self.files) - images,
            unit=" images",
            mininterval=0.2 if sys.stderr.isatty() else 5.0,  # seconds; a log keeps every line
        )
