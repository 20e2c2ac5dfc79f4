"""Running notebooks through papermill: a failure is kept and shown, and the others run."""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from ..errors import ReglError
from ..params import ROOT, load
from ..system import explained, put
from .notebooks import cells, find


class ThisPython(AsyncKernelManager):
    """Starts kernels with this Python and talks to them through sockets in a folder of their own.

    Kernels registered by the user or the system could be another Python's, and many kernels at
    once race for network ports.
    """

    transport = "ipc"
    variables: Mapping[str, str]  # of their environment, besides those of this process
    started: "list[ThisPython]"

    @property
    def kernel_spec(self) -> KernelSpec:
        self.started.append(self)
        quiet = "--log-level=CRITICAL"  # else it calls the stop after a failure an error
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", quiet]
        return KernelSpec(argv=argv, language="python", env=dict(self.variables))


def execute(
    names: Sequence[str],
    profile: str,
    changes: Mapping[str, Any],
    out: Path,
    folder: Path = ROOT / "notebooks",
    at_once: int = 2,
    done: Callable[[str], None] = lambda name: None,
    variables: Mapping[str, Mapping[str, str]] = {},
) -> None:
    """Run the notebooks `names` of `folder`, several `at_once`, with this very Python.

    What a notebook prints appears as it is printed, by whole lines where another runs beside
    it. The executed copy is `out`/<name>.ipynb; that of a notebook which failed, or did not come
    to its end, is `out`/<name>.failed.ipynb. The working directory is the root of the repository.
    `done` is called with the name of each notebook that has come to its end. `variables`
    are added to the environment of kernels, by the name of the notebook.

    Raises
    ------
    ReglError
        Before anything runs, when a name, the profile, a change or a parameters cell is wrong;
        at the end, when notebooks failed. The others have run all the same.
    """
    load(profile, changes)
    paths = find(names, folder)
    out.mkdir(parents=True, exist_ok=True)
    running = _Running({"profile": profile, "changes": dict(changes)}, out, variables)
    failed = []
    with ThreadPoolExecutor(at_once) as pool:
        futures = {pool.submit(running.attempt, path): path.stem for path in paths}
        try:
            for future in as_completed(futures):
                (done if future.result() else failed.append)(futures[future])
        except BaseException:
            running.stopped = True
            pool.shutdown(wait=False, cancel_futures=True)
            while wait(futures, timeout=0.1).not_done:
                running.kill()
            raise
    if failed:
        told = ", ".join(sorted(failed, key=names.index))
        raise ReglError(
            f"{len(failed)} of {len(paths)} notebooks failed: {told}; "
            f"their copies, {out}/<name>.failed.ipynb, show where"
        )


@dataclass
class _Running:
    """The names of the notebooks that run now, all kernels there have been, and what they get."""

    parameters: Mapping[str, Any]
    out: Path
    variables: Mapping[str, Mapping[str, str]]
    names: set[str] = field(default_factory=set)
    kernels: list[ThisPython] = field(default_factory=list)
    stopped: bool = False

    def attempt(self, path: Path) -> bool:
        """Run one notebook and tell how it went; whether it came to its end."""
        start, name, copy = time.monotonic(), path.stem, self.out / path.name
        print(f"{name}: runs at profile {self.parameters['profile']}", flush=True)
        self.names.add(name)
        streams = [_Lines(self.names, stream) for stream in ("stdout", "stderr")]
        try:
            with explained(self.out), TemporaryDirectory(prefix="regl-") as private:
                self._run(path, copy, Path(private), *streams)
        except ReglError as error:
            if not self.stopped:
                print(f"{name}: {error}", file=sys.stderr, flush=True)
            return False
        finally:
            self.names.remove(name)
            for stream in streams:
                stream.write("\n" * bool(stream.begun))
        print(f"{name}: done in {time.monotonic() - start:.0f} s, {copy}", flush=True)
        return True

    def kill(self) -> None:
        """End every kernel, and what it has started."""
        for kernel in self.kernels:
            with suppress(AttributeError, ProcessLookupError, TypeError):  # not there, or ended
                os.killpg(kernel.provisioner.pgid, signal.SIGKILL)

    def _run(self, path: Path, copy: Path, private: Path, *streams: "_Lines") -> None:
        """Execute one notebook; `copy` appears only if it comes to its end.

        Else what there is of it goes into <name>.failed.ipynb beside `copy`. Each appears whole:
        another process may run the same notebook.
        """
        side, failed = private / path.name, copy.with_suffix(".failed.ipynb")
        own = {"connection_file": str(private / "kernel.json"), "started": self.kernels}
        own["variables"] = self.variables.get(path.stem, {})
        try:
            papermill.execute_notebook(
                *(str(it.resolve()).replace("{", "{{").replace("}", "}}") for it in (path, side)),
                self.parameters,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                start_timeout=300,  # seconds; a busy machine needs many
                stdout_file=streams[0],
                stderr_file=streams[1],
                resources={"metadata": {"path": str(ROOT)}},  # the working directory
                kernel_manager_class=type("Own", (ThisPython,), own),
                shutdown_kernel="immediate",
            )
        except papermill.PapermillExecutionError as error:
            where, what = error.exec_count, f"{error.ename}: {error.evalue}"
        except Exception as error:  # a kernel that died or never started
            where, what = _begun(side), f"{type(error).__name__}: {error}"
        else:
            put({copy.name: side.read_bytes()}, self.out)
            failed.unlink(missing_ok=True)
            return
        if side.exists() and not self.stopped:
            put({failed.name: side.read_bytes()}, self.out)
        raise ReglError(f"failed in cell [{where}]: {what}\n  see {failed}")


@dataclass
class _Lines:
    """A file for papermill to write to: shows what comes, by whole lines where others run."""

    running: set[str]
    stream: str  # of `sys`
    begun: str = ""

    def write(self, text: str) -> None:
        text = self.begun + text
        end = text.rfind("\n") + 1 if len(self.running) > 1 else len(text)
        self.begun = text[end:]
        print(text[:end], end="", file=getattr(sys, self.stream), flush=True)

    def flush(self) -> None:
        pass


def _begun(copy: Path) -> int:
    """Number of the cells of an executed notebook that were begun, thus that of the last one."""
    code = [it for it in cells(copy) if it.code and it.source.strip()] if copy.exists() else []
    return sum(bool(it.metadata["papermill"]["start_time"]) for it in code)
