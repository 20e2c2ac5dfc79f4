"""A module that takes its time to be imported, as large ones do."""

import time
from multiprocessing.connection import Connection

from regl_core.system import heed

time.sleep(1.0)


def answer(pipe: Connection, word: str) -> None:
    """Send `word`, then how many interrupts have come, and end when the pipe does."""
    came: list[int] = []
    heed(lambda number, frame: came.append(number))
    pipe.send(word)
    pipe.recv()
    pipe.send(came)
