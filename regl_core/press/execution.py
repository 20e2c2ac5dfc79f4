"""Running notebooks through papermill: a failure is kept and shown, and the others run."""

import io
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import papermill
import psutil
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from ..errors import ReglError
from ..params import ROOT, load
from ..system import explained, put
from .notebooks import find

AT_ONCE = 2


class ThisPython(AsyncKernelManager):
    """Starts kernels with this Python and talks to them through sockets in a folder of their own.

    Kernels registered by the user or the system could be another Python's, and many kernels at
    once race for network ports.
    """

    transport = "ipc"
    variables: Mapping[str, str]  # of their environment, besides those of this process

    @property
    def kernel_spec(self) -> KernelSpec:
        quiet = "--log-level=CRITICAL"  # else it calls the stop after a failure an error
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", quiet]
        return KernelSpec(argv=argv, language="python", env=dict(self.variables))


def execute(
    names: Sequence[str],
    profile: str,
    changes: Mapping[str, Any],
    out: Path,
    folder: Path = ROOT / "notebooks",
    done: Callable[[str], None] = lambda name: None,
    variables: Mapping[str, Mapping[str, str]] = {},
) -> None:
    """Run the notebooks `names` of `folder`, two at once, with this very Python.

    What a notebook has printed is printed at its end. The executed copy is `out`/<name>.ipynb; that
    of a notebook which failed is `out`/<name>.failed.ipynb. The working directory is the root of
    the repository. `done` is called with the name of each notebook that has come to its end.
    `variables` are added to the environment of kernels, by the name of the notebook.

    Raises
    ------
    ReglError
        Before anything runs, when a name, the profile, a change or a parameters cell is wrong;
        at the end, when notebooks failed. The others have run all the same.
    """
    load(profile, changes)
    paths, failed, ended = find(names, folder), [], Event()
    out.mkdir(parents=True, exist_ok=True)
    given = {"profile": profile, "changes": dict(changes)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {
            pool.submit(_attempt, path, out, given, variables.get(path.stem, {}), ended): path.stem
            for path in paths
        }
        try:
            for future in as_completed(futures):
                (done if future.result() else failed.append)(futures[future])
        except BaseException:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            while wait(futures, timeout=0.1).not_done:
                for process in psutil.Process().children(recursive=True):  # kernels, and theirs
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            raise
    if failed:
        told = ", ".join(sorted(failed, key=names.index))
        raise ReglError(
            f"{len(failed)} of {len(paths)} notebooks failed: {told}; "
            f"their copies, {out}/<name>.failed.ipynb, show where"
        )


def _attempt(
    path: Path,
    out: Path,
    parameters: Mapping[str, Any],
    variables: Mapping[str, str],
    ended: Event,
) -> bool:
    """Run one notebook and tell how it went; whether it came to its end.

    Its copy appears whole: another process may run the same notebook. Once all is `ended`, how it
    failed tells nothing.
    """
    start, name, said, why = time.monotonic(), path.stem, io.StringIO(), ""
    print(f"{name}: runs at profile {parameters['profile']}", flush=True)
    copy, failed = out / path.name, out / f"{name}.failed.ipynb"
    with explained(out), TemporaryDirectory(prefix="regl-") as private:
        side = Path(private, path.name)
        own = {"connection_file": f"{private}/kernel.json", "variables": variables}
        try:
            papermill.execute_notebook(
                *(str(it.resolve()).replace("{", "{{").replace("}", "}}") for it in (path, side)),
                parameters,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                start_timeout=300,  # seconds; a busy machine needs many
                stdout_file=said,
                stderr_file=said,
                resources={"metadata": {"path": str(ROOT)}},  # the working directory
                kernel_manager_class=type("Own", (ThisPython,), own),
                shutdown_kernel="immediate",
            )
        except papermill.PapermillExecutionError as error:
            why = f"failed in cell [{error.exec_count}]: {error.ename}: {error.evalue}"
        except Exception as error:  # a kernel that died or never started
            why = f"failed: {type(error).__name__}: {error}"
        if ended.is_set():
            return False
        if side.exists():
            put({(failed if why else copy).name: _linked(side, path.parent, out)}, out)
    if text := said.getvalue().rstrip():
        print(f"{text}\n", end="", flush=True)  # in one piece, as another may print too
    if why:
        print(f"{name}: {why}\n  see {failed}", file=sys.stderr, flush=True)
        return False
    failed.unlink(missing_ok=True)
    print(f"{name}: done in {time.monotonic() - start:.0f} s, {copy}", flush=True)
    return True


def _linked(executed: Path, home: Path, out: Path) -> bytes:
    """The notebook `executed`, for `out`: what its text links to is what it is in `home`."""
    notebook, away = json.loads(executed.read_bytes()), os.path.relpath(home, out)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = re.sub(
                r"\]\((?!\w+:|#)([^)]+)",
                lambda it: f"]({os.path.normpath(f'{away}/{it[1]}')}",
                "".join(cell["source"]),
            ).splitlines(keepends=True)
    return f"{json.dumps(notebook, indent=1, ensure_ascii=False)}\n".encode()
