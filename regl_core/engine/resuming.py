"""Loops that go on where a kill ended them, bit for bit."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .checkpoints import Checkpoint

Made = TypeVar("Made")


def stepwise(
    step: Callable[[int], Made],
    count: int,
    parts: Sequence[Any] = (),
    checkpoint: Checkpoint | None = None,
    tick: Callable[[float], None] = lambda fraction: None,
) -> list[Made]:
    """``[step(0), …, step(count − 1)]``, where each step goes on from what the last one left.

    Parameters
    ----------
    step
        Changes `parts` and nothing else that a later step sees; it draws by its number. What it
        returns is a value as a `Checkpoint` keeps it.
    parts
        Networks, optimisers, schedules: what has a `state_dict` and can load one.
    checkpoint
        Where to go on from and to save to, after any step; None: neither.
    tick
        Called after each step with the share of them done, 0 to 1.
    """
    done: list[Made] = []
    kept = checkpoint and checkpoint.load()
    if kept is not None:
        before, states = kept
        done += before
        for part, state in zip(parts, states, strict=True):
            part.load_state_dict(state)
    for number in range(len(done), count):
        done.append(step(number))
        if checkpoint is not None and checkpoint.due:
            checkpoint.save((done, [part.state_dict() for part in parts]))
        tick((number + 1) / count)
    return done


def piecewise(
    make: Callable[[int], Made],
    numbers: Sequence[int],
    checkpoint: Checkpoint | None = None,
    tick: Callable[[float], None] = lambda fraction: None,
) -> list[Made]:
    """``[make(number) for number in numbers]``, where no piece needs another.

    Parameters
    ----------
    make
        What it returns is a value as a `Checkpoint` keeps it; None is not kept.
    checkpoint
        Each piece is kept as soon as it is made, in a file beside the one of `checkpoint`; those
        that are there are read. None: nothing is kept.
    tick
        Called after each piece with the share of them done, 0 to 1.
    """
    pieces: list[Made] = []
    for number in numbers:
        own = checkpoint and checkpoint / str(number)
        piece = own and own.load()
        if piece is None:
            piece = make(number)
            if own and piece is not None:
                own.write(piece)
        pieces.append(piece)
        tick(len(pieces) / len(numbers))
    return pieces
