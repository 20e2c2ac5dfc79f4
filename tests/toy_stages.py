"""Small stages for the tests of the store and the runner; in a file so that workers find them.

torch is imported where it is used: most of the processes in these tests need none.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from regl_core.engine import Stage
from regl_core.engine.checkpoints import CHECKPOINT
from regl_core.errors import ReglError

Tick = Callable[[float], None]


@dataclass(frozen=True)
class Setting:
    """A plain frozen value."""

    name: str


class Model(BaseModel):
    """A frozen pydantic value."""

    model_config = ConfigDict(frozen=True)

    rate: float = 0.5


@dataclass(frozen=True)
class Holder(Stage):
    """Holds anything."""

    value: object

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        (folder / "value.txt").write_text(repr(self.value))


@dataclass(frozen=True)
class Draw(Stage):
    """A product of two drawn matrices, the sum of those it needs, and an empty file in a folder."""

    seed: int
    after: tuple[Stage, ...] = ()

    def needs(self) -> tuple[Stage, ...]:
        return self.after

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        import torch

        from regl_core.seeds import torch_generator

        drawn = torch.randn(2, 60, 60, generator=torch_generator(self.seed, "draw"))
        total = drawn[0] @ drawn[1]
        for i, path in enumerate(inputs):
            read = torch.frombuffer(
                bytearray((path / "drawn.bin").read_bytes()), dtype=torch.float32
            )
            total = total + read.view(60, 60)
            tick((i + 1) / len(inputs))
        (folder / "drawn.bin").write_bytes(total.numpy().tobytes())
        (folder / "inner").mkdir()
        (folder / "inner" / "empty.txt").touch()


@dataclass(frozen=True)
class Logged(Stage):
    """Adds a line to the file `log` at its start; hangs while a file `log`.hang is there."""

    log: str
    name: str
    seconds: float = 0.0
    after: tuple[Stage, ...] = ()

    def needs(self) -> tuple[Stage, ...]:
        return self.after

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        (folder / "begun.txt").write_text(self.name)
        with open(self.log, "a") as file:
            file.write(f"{self.name}\n")
        end = time.monotonic() + self.seconds
        while time.monotonic() < end or Path(f"{self.log}.hang").exists():
            tick(0.5)
            time.sleep(0.02)
        (folder / "name.txt").write_text(self.name)


@dataclass(frozen=True)
class Threads(Stage):
    """How many threads torch and OpenMP use where it is computed."""

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        import torch

        info = torch.__config__.parallel_info()
        openmp = next(line for line in info.splitlines() if "omp_get_max_threads" in line)
        (folder / "torch.txt").write_text(str(torch.get_num_threads()))
        (folder / "openmp.txt").write_text(openmp.split(":")[1].strip())


@dataclass(frozen=True)
class Broken(Stage):
    """Fails in the way `how`."""

    how: str
    after: tuple[Stage, ...] = ()

    def needs(self) -> tuple[Stage, ...]:
        return self.after

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        (folder / "half.txt").write_text("half")
        if self.how == "defect":
            raise ValueError("two and two is five")
        if self.how == "advice":
            raise ReglError("beta is -1; expected more than 0")
        if self.how == "lost":
            import torch

            raise torch.AcceleratorError("CUDA error: unspecified launch failure\nCompile with …")
        if self.how == "full":
            with open("/dev/full", "w") as file:
                file.write("no room for this")
        if self.how == "denied":
            raise PermissionError(13, "Permission denied", "/some/folder")
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Resumed(Stage):
    """Counts to ten, one step for each file `log`.go allows, from where it was killed."""

    log: str

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        state = folder / CHECKPOINT / "state.txt"
        state.parent.mkdir(exist_ok=True)
        start = int(state.read_text()) if state.exists() else 0
        for step in range(start, 10):
            with open(self.log, "a") as file:
                file.write(f"{step}\n")
            state.write_text(str(step + 1))
            if step == 4 and start == 0:
                raise KeyboardInterrupt
        (folder / "count.txt").write_text("10")


@dataclass(frozen=True)
class Seen(Stage):
    """Which GPUs a process sees where it is computed."""

    number: int

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        (folder / "sees").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
