"""This machine: its cores and GPUs, and new processes on it."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> tuple[str, ...]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch  # seconds, for which a process that needs no GPU should not wait

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = range(torch.cuda.device_count()) if visible is None else visible.split(",")
    return tuple(map(str, names))[: torch.cuda.device_count()]


def places(on_gpu: bool, most: int | None = None) -> tuple[str | None, ...]:
    """One for each worker process, `most` of them if that is given: the GPU that it is to see.

    With work that is done on GPUs one for each of these: two workers on one would wait for each
    other. Else None, one for each core.
    """
    found = gpus() if on_gpu else ()
    return found[:most] or (None,) * (most or cores())


@cache
def machines() -> dict[str, str]:
    """The names of what computes here, by kind of device: "cpu" and perhaps "cuda"."""
    import torch

    lines = Path("/proc/cpuinfo")
    text = lines.read_text() if lines.exists() else ""
    names = [line.partition(": ")[2] for line in text.splitlines() if line.startswith("model name")]
    found = {"cpu": names[0] if names else "this processor"}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_device_name(0)
    return found


def resolved(device: str) -> str:
    """The kind of device that the settings' word means here: "auto" is a GPU where there is one."""
    return ("cuda" if "cuda" in machines() else "cpu") if device == "auto" else device


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block torch computes with one thread: with more it sums in another order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def spawned(target: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """A new process in which ``target(pipe, *arguments)`` runs, and the other end of its pipe.

    The process has the only other end: its death ends the pipe. Ctrl-C in a terminal goes to all
    processes, and one that is still importing would die of it with a traceback: so each is born
    with SIGINT held back, and lets it come by `heed`. All are forks of one process that has loaded
    torch and done nothing with it, so they are there in milliseconds, and share that memory; it has
    the environment that was there when the first was asked for.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch"])
    here, there = context.Pipe()
    process = context.Process(target=target, args=(there, *arguments))
    resource_tracker.ensure_running()  # starting it would let signals come again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # A process would first run the script that started it, and all that this starts, once more.
    script = {"__spec__": None, "__file__": None}
    main = vars(sys.modules["__main__"])
    was = {name: main[name] for name in script if name in main}
    main |= script
    try:
        process.start()
    finally:
        for name in script:
            del main[name]
        main |= was
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    there.close()
    return process, here


def heed(handler: Any) -> None:
    """Let SIGINT come from now on, to `handler`: a function, SIG_IGN or SIG_DFL."""
    signal.signal(signal.SIGINT, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
