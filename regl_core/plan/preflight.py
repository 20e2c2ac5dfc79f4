"""Whether what was asked for can be computed here: all that is in the way, before any of it is."""

import shutil
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from .. import foundation
from ..engine.runner import closure
from ..engine.stage import Stage
from ..engine.store import Store
from ..errors import ReglError
from ..params import Settings
from ..settings import in_one
from ..system import resolved
from . import counts, footprint
from .dry_run import Outline
from .work import KEPT, Unit, Work

GB = 1e9


def check(targets: Iterable[Stage], outline: Outline, settings: Settings, store: Store) -> None:
    """Make sure that `targets`, built by `outline`, can be computed and kept in `store`.

    Takes milliseconds where nothing is missing and no GPU is asked for.

    Raises
    ------
    ReglError
        Names all that is in the way, and what to do about it.
    """
    works = [counts.of(stage) for stage in closure(targets, store.has).values()]
    if found := problems(works, outline, settings, store.root):
        raise refusal(found)


def problems(
    works: Collection[Work], outline: Outline, settings: Settings, root: Path
) -> list[str]:
    """What keeps stages with these `works` from being computed into a store at `root`.

    Data sets and models that are missing or not whole, a device that is not there, a disk or the
    memory of a GPU that is too small; a line each.
    """
    units = {it for work in works for it, much in work.items() if much and it.what not in KEPT}
    found = list(outline.lacking)
    if any(it.model and not it.side for it in units):
        found += foundation.problems(settings.foundation, settings.lora.visual_token)
    if any(it.side for it in units):
        found += _device(settings.training.device)
    found += _disk(works, sum(outline.unpacked.values()), root)
    found += _memory(works, units, settings)
    return found


def refusal(found: Sequence[str]) -> ReglError:
    """An error that names all of `found`, each once."""
    return ReglError(in_one(dict.fromkeys(found)))


def _device(name: str) -> list[str]:
    try:
        foundation.pick_device(name)
    except ReglError as error:
        return [f"training.{error}"]
    return []


def _disk(works: Collection[Work], unpacked: int, root: Path) -> list[str]:
    place = next(it for it in (root, *root.absolute().parents) if it.exists())
    there = shutil.disk_usage(place).free
    if unpacked + footprint.at_most(works) <= there:
        return []
    needed = unpacked + sum(map(footprint.disk, works)) + footprint.checkpoints(works)
    if needed <= there:
        return []
    return [
        f"disk: {_told(needed)} are to be written below {root}, where {_told(there)} "
        "are free: free some, move this folder to a larger disk, or ask for less (DATASETS, SEEDS, "
        "TABLES)"
    ]


def _told(size: float) -> str:
    """`size` in bytes, in words."""
    return f"{size / GB:,.1f} GB" if size >= GB / 10 else f"{size / 1e6:,.1f} MB"


def _memory(works: Collection[Work], units: Collection[Unit], settings: Settings) -> list[str]:
    sizes = gpu_memories() if any(resolved(it.device) == "cuda" for it in units) else []
    if not sizes:
        return []
    least = footprint.peak(works, settings.foundation, smallest=True).gpu
    if least <= min(sizes):
        return []
    return [
        f"memory of the GPU: about {least / GB:.1f} GB are needed, with the smallest batches of "
        f"generation, and it has {min(sizes) / GB:.1f} GB: lower training.batch_size (now "
        f"{settings.training.batch_size}), set training.precision and foundation.dtype to "
        "bfloat16, or leave out the methods that hold most"
    ]


def gpu_memories() -> list[int]:
    """Bytes of the memory of each GPU."""
    import torch

    count = torch.cuda.device_count()
    return [torch.cuda.get_device_properties(number).total_memory for number in range(count)]
