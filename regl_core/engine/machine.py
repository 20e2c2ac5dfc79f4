"""What this machine computes with: its cores, or its GPUs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


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
