"""A process that runs notebooks through papermill and tells its parent what they print."""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

from ..errors import Halt, ReglError
from ..params import ROOT
from ..system import explained, put

# A kernel that is stopped while it starts would show a traceback; later it has a handler.
KERNEL = """
import runpy, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
runpy.run_module("ipykernel_launcher", run_name="__main__")
"""
Message = tuple[str, str]  # ("stdout" or "stderr", text), or ("done" or "failed", words)


@dataclass(frozen=True)
class Stream:
    """A file to write to, as papermill needs it, which is at the other end of a pipe."""

    pipe: Connection
    name: str

    def write(self, text: str) -> None:
        self.pipe.send((self.name, text))

    def flush(self) -> None:
        pass


def serve(pipe: Connection) -> None:
    """Run the notebooks that come through `pipe`, as (path, parameters, copy), until it closes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    try:
        while True:
            path, parameters, copy = pipe.recv()
            pipe.send(_attempt(path, parameters, copy, pipe))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        pass


def _attempt(path: Path, parameters: dict[str, Any], copy: Path, pipe: Connection) -> Message:
    start = time.monotonic()
    try:
        with explained(copy.parent):
            _run(path, parameters, copy, pipe)
    except Halt as error:
        return "failed", f"{path.stem}: {error}"
    except ReglError as error:
        return "failed", str(error)
    return "done", f"{path.stem}: done in {time.monotonic() - start:.0f} s, {copy}"


def _run(path: Path, parameters: dict[str, Any], copy: Path, pipe: Connection) -> None:
    """Execute one notebook; `copy` appears only if it comes to its end.

    Else what there is of it goes into <name>.failed.ipynb beside `copy`. Each appears whole:
    another process may run the same notebook.
    """
    failed = copy.with_name(f"{path.stem}.failed.ipynb")
    with tempfile.TemporaryDirectory(prefix="regl-") as private:
        side = Path(private, path.name)
        try:
            papermill.execute_notebook(
                _literal(path),
                _literal(side),
                parameters,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                start_timeout=300,  # seconds; a busy machine needs many
                stdout_file=Stream(pipe, "stdout"),
                stderr_file=Stream(pipe, "stderr"),
                cwd=ROOT,
                kernel_manager_class=_kernel_manager(Path(private)),
            )
        except papermill.PapermillExecutionError as error:
            where, what = error.exec_count, f"{error.ename}: {error.evalue}"
        except Exception as error:  # a kernel that died or never started
            where, what = _begun(side), f"{type(error).__name__}: {error}"
        else:
            put({copy.name: side.read_bytes()}, copy.parent)
            failed.unlink(missing_ok=True)
            return
        if side.exists():
            put({failed.name: side.read_bytes()}, failed.parent)
    raise ReglError(f"{path.stem}: failed in cell [{where}]: {what}\n  see {failed}")


def _literal(path: Path) -> str:
    """`path` as papermill reads it, which takes braces for fields to fill in."""
    return str(path.resolve()).replace("{", "{{").replace("}", "}}")


def _begun(copy: Path) -> int:
    """Number of the cells of an executed notebook that were begun, thus that of the last one."""
    if not copy.exists():
        return 0
    cells = nbformat.read(copy, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]
    return sum(bool(cell.metadata.papermill.start_time) for cell in code)


def _kernel_manager(folder: Path) -> type[AsyncKernelManager]:
    """Starts kernels with this Python and talks to them through sockets in `folder`.

    Kernels registered by the user or the system could be another Python's, and many kernels
    at once race for network ports.
    """

    class ThisPython(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            start = [sys.executable, "-Xfrozen_modules=off", "-c", KERNEL]
            quiet = "--log-level=CRITICAL"  # else it calls the stop after a failure an error
            return KernelSpec(argv=[*start, "-f", "{connection_file}", quiet], language="python")

        @default("transport")
        def _through_files(self) -> str:
            return "ipc"

        @default("connection_file")
        def _in_folder(self) -> str:
            return str(folder / "kernel.json")

    return ThisPython


def _stop_with_parent() -> None:
    """Stop as if interrupted, so that no kernel is left behind."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)
