"""What has been computed: each stage once, under its key, safe from kills and other processes.

    root/<kind>/<first two of key>/<key>/   the files of a stage, and entry.json about them
    root/tmp/<key>-<process>-<random>/      being computed, or left by a kill
    root/tmp/<key>.saved/                   its checkpoints: the folder above has a link to it
    root/locks/<key>.lock                   held while a stage is computed; a kill frees it

To start afresh, delete the folder.
"""

import errno
import os
import secrets
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import Timeout

from ..errors import ReglError
from ..system import explained, locked, one_thread, sync
from . import entry
from .checkpoints import CHECKPOINT
from .stage import Stage, Tick

OF = "of.txt"  # beside checkpoints: the key of the stage that they belong to


@dataclass(frozen=True)
class Store:
    """The results below `root`. Any number of processes may use it at once.

    A file is compared with its checksum once per `Store` value, and again whenever its time or
    size has changed. A damaged entry counts as absent: one warning says so, it is deleted and
    computed anew.

    Raises
    ------
    Halt
        From every method: when the disk is full, access is denied, or the disk has no locks.
    """

    root: Path
    _seen: entry.Seen = field(default_factory=set, init=False, repr=False, compare=False)

    def has(self, stage: Stage) -> bool:
        """Whether the result of `stage` is here and intact."""
        folder = self._folder(stage)
        with explained(self.root):
            if not os.path.lexists(folder):
                return False
            with suppress(entry.Damage):
                entry.verify(folder, stage.key, self._seen)
                return True
            with self._lock(stage.key):
                return self._mended(stage)

    def path(self, stage: Stage) -> Path:
        """The folder with the intact result of `stage`; ReglError if there is none."""
        if not self.has(stage):
            raise ReglError(f"{stage} is not in {self.root}; compute it first, by run_stages")
        return self._folder(stage)

    def ensure(self, stage: Stage, tick: Tick = lambda fraction: None) -> Path:
        """The folder of `stage`, computed here and now if need be, after what it needs.

        Where another process is computing it, wait for that one. `tick` gets the fraction done.
        It is computed with one thread, as everywhere, whatever this process uses.
        """
        if not self.has(stage):
            inputs = tuple(self.ensure(need) for need in stage.inputs)
            with explained(self.root), self._lock(stage.key):
                if not self._mended(stage):
                    self._compute(stage, inputs, tick)
        return self._folder(stage)

    def glimpse(self, stage: Stage, name: str) -> str | None:
        """What the text file `name` of `stage` says so far; None if it is not there yet.

        From the finished result, or else from whichever process is computing it.
        """
        if self.has(stage):
            return (self._folder(stage) / name).read_text()
        for path in self.root.glob(f"tmp/{stage.key}-*/{name}"):
            with suppress(FileNotFoundError):  # finished or cleared this very moment
                return path.read_text()
        return None

    def folders(self) -> Iterator[Path]:
        """The folder of every entry, intact or not; its name is the key, the topmost the kind."""
        return (it for it in self.root.glob("*/??/*") if it.parts[-3] not in ("tmp", "locks"))

    def unfinished(self) -> Iterator[Path]:
        """The folder of every entry's checkpoints, where there are any (`key_of`)."""
        return (folder for folder in self.root.glob("tmp/*.saved") if _holds(folder))

    @staticmethod
    def key_of(folder: Path) -> str:
        """The key of the entry in `folder`, or of that whose checkpoints are there."""
        return folder.name.partition("-")[0].removesuffix(".saved")

    def remove(self, folder: Path) -> bool:
        """Delete what is in `folder`; False, and nothing done, if it is being computed."""
        with explained(self.root), suppress(Timeout), self._lock(self.key_of(folder), timeout=0):
            _delete(folder)
            return True
        return False

    def sweep(self) -> None:
        """Delete what killed processes left behind, but for checkpoints of what is not finished."""
        with explained(self.root):
            for folder in self.root.glob("tmp/*"):
                key = self.key_of(folder)
                with suppress(Timeout), self._lock(key, timeout=0):
                    finished = any(self.root.glob(f"*/{key[:2]}/{key}"))
                    if finished or not _holds(folder):
                        _delete(folder)

    def _folder(self, stage: Stage) -> Path:
        return Path(self.root, stage.kind, stage.key[:2], stage.key)

    def _lock(self, key: str, timeout: float = -1) -> AbstractContextManager[None]:
        return locked(Path(self.root, "locks", f"{key}.lock"), timeout)

    def _mended(self, stage: Stage) -> bool:
        """Whether `stage` is intact; if it is damaged, delete it. The caller holds the lock."""
        folder = self._folder(stage)
        # Not asked by its name: a machine that asked before may still know it as missing, where
        # another machine of the same file system has made it since.
        if not folder.parent.is_dir() or folder.name not in os.listdir(folder.parent):
            return False
        try:
            entry.verify(folder, stage.key, self._seen)
            return True
        except entry.Damage as damage:
            text = f"{folder} is damaged ({damage}) and will be computed anew"
            warnings.warn(text, stacklevel=4)
            _delete(folder)
            return False

    def _compute(self, stage: Stage, inputs: tuple[Path, ...], tick: Tick) -> None:
        """Fill a temporary folder and rename it. The caller holds the lock."""
        for left in self.root.glob(f"tmp/{stage.key}-*"):
            _delete(left)
        saved = self._saved(stage)
        temporary = saved.with_name(f"{stage.key}-{os.getpid()}-{secrets.token_hex(4)}")
        temporary.mkdir()
        try:
            # `explained` before the half-written files make room again.
            with explained(self.root), one_thread():
                link = temporary / CHECKPOINT
                link.symlink_to(Path("..", saved.name), target_is_directory=True)
                start = time.perf_counter()
                stage.compute(temporary, inputs, tick)
                seconds = time.perf_counter() - start
                link.unlink()
                entry.write(stage, temporary, seconds)
            self._placed(temporary, stage)
        except BaseException:
            _delete(temporary)
            if not _holds(saved):
                _delete(saved)
            raise
        _delete(saved)

    def _saved(self, stage: Stage) -> Path:
        """Where the checkpoints of `stage` lie. Those of another, copied by hand, go."""
        saved = Path(self.root, "tmp", f"{stage.key}.saved")
        of = saved / OF
        if _holds(saved) and not (of.is_file() and of.read_bytes() == stage.key.encode()):
            warnings.warn(f"{saved} is of another stage; starting over", stacklevel=5)
            _delete(saved)
        saved.mkdir(parents=True, exist_ok=True)
        of.write_text(stage.key)
        return saved

    def _placed(self, temporary: Path, stage: Stage) -> None:
        """Let the finished `temporary` be the result of `stage`. The caller holds the lock."""
        folder = self._folder(stage)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(temporary, folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if self._mended(stage):  # another machine's, which this one has not seen before
                _delete(temporary)
            else:
                os.rename(temporary, folder)
        sync(folder.parent)


def _holds(folder: Path) -> bool:
    """Whether it is one of checkpoints with something in it."""
    return folder.suffix == ".saved" and any(path.name != OF for path in folder.glob("*"))


def _delete(path: Path) -> None:
    """Delete a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
