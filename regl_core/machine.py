"""What this machine computes with: its cores, or its GPUs."""

import os
from collections.abc import Collection


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> tuple[str, ...]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch  # seconds, for which a process that needs no GPU should not wait

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = range(torch.cuda.device_count()) if visible is None else visible.split(",")
    return tuple(map(str, names))[: torch.cuda.device_count()]


def places(devices: Collection[str]) -> tuple[str | None, ...]:
    """One for each worker process that work on `devices` ("cpu", "cuda", "auto") should have.

    The name of its GPU, if any of the work is done on one: with two workers on one GPU both would
    wait. Otherwise None, one for each core.
    """
    found = gpus() if set(devices) & {"cuda", "auto"} else ()
    return found or (None,) * cores()
