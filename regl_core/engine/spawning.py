"""Processes with a pipe to them, which an interrupt does not reach before they are ready for it.

Ctrl-C in a terminal goes to all processes. One that is still importing would die of it with a
traceback; so each is born with SIGINT held back, and lets it come by `heed`.
"""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any


def spawned(target: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """A new process in which ``target(pipe, *arguments)`` runs, and the other end of its pipe.

    The process has the only other end: its death ends the pipe.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(there, *arguments))
    resource_tracker.ensure_running()  # starting it would let signals come again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    there.close()
    return process, here


def heed(handler: Any) -> None:
    """Let SIGINT come from now on, to `handler`: a function, SIG_IGN or SIG_DFL."""
    signal.signal(signal.SIGINT, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
