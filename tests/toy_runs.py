"""Whole runs of `make` in copies of the repository, and what is seen of them from outside."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from regl_core.params import ROOT

PARTS = ("Makefile", "requirements.lock", "regl_core", "notebooks", "params", "README.md")


class Made:
    """One `make` in a copy of the repository, what it says, and all its processes."""

    def __init__(self, root: Path, *targets: str, profile: str = "smoke") -> None:
        self._process = subprocess.Popen(
            ["make", *targets, f"PROFILE={profile}", f"VENV={sys.prefix}"],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # As a terminal starts it: of a shell's job in the background Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while part := os.read(self._process.stdout.fileno(), 4096):
            self.said += part.decode(errors="replace")

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self._process.poll() is not None

    def until(self, condition: str | Callable[[], bool]) -> bool:
        """Wait until it says a pattern, or something holds; False if it ends before."""
        while not (re.search(condition, self.said) if isinstance(condition, str) else condition()):
            if self.ended:
                return False
            time.sleep(0.02)
        return True

    def processes(self) -> list[psutil.Process]:
        """make, and all that it has started."""
        try:
            top = psutil.Process(self._process.pid)
            return [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """SIGKILL to every process at once."""
        for process in self.processes():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.end()

    def end(self) -> int:
        """Wait for the end; the exit status."""
        status = self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        return status


def copied(folder: Path) -> Path:
    """A copy of what `make report` needs, with an empty store and no figures."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / part)
    os.utime(folder / "requirements.lock", (0, 0))  # no reason to set up the environment anew
    return folder


class Seen:
    """The stages that are computed in a store, seen from outside from now on."""

    def __init__(self, root: Path) -> None:
        self._folder = root / ".store/tmp"
        self._left = set(self._names())  # by those killed before
        self.begun: dict[str, float] = {}  # at which work of its process, by name of the folder

    def _names(self) -> list[str]:
        with suppress(FileNotFoundError):
            return [path.name for path in self._folder.iterdir() if path.suffix != ".saved"]
        return []

    def now(self) -> list[str]:
        """The folders of those that are being computed."""
        found = [name for name in self._names() if name not in self._left]
        for name in found:
            self.begun.setdefault(name, _worked(name))
        return found

    def spent(self, name: str) -> float:
        """Work on one that is being computed so far, in seconds of a core."""
        return _worked(name) - self.begun[name]

    @property
    def keys(self) -> list[str]:
        """The key of each that was ever begun, as often as it was."""
        return [name.partition("-")[0] for name in self.begun]


def _worked(name: str) -> float:
    """Seconds of a core that the process has taken which computes in the folder `name`."""
    with suppress(psutil.NoSuchProcess):
        times = psutil.Process(int(name.split("-")[1])).cpu_times()
        return times.user + times.system
    return 0.0


def artefacts(root: Path) -> dict[str, bytes]:
    """Every file that notebooks made, by name."""
    return {path.name: path.read_bytes() for path in (root / "figures/smoke").glob("*.*")}
