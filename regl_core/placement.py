"""Where the data and the models of a federation lie: in the memory of the GPU, or outside it."""

from collections.abc import Sequence

import torch

from .training import ClientData

SHARE = 0.4  # of the free memory of a GPU, for what would else lie in the computer's
SMALL = 2**30  # bytes; what lies in files and is no larger is read into the computer's memory


def placed(several: Sequence[ClientData], device: torch.device) -> list[ClientData]:
    """The same data where training on `device` reads it fastest.

    All of it on `device` if it fits into the memory set aside for it. Otherwise it stays where it
    is, perhaps in files, and `ClientData.batches` fetches what it needs.
    """
    fits = sum(data.bytes for data in several) <= room(device)
    return [data.to(device) if fits else data for data in several]


def room(device: torch.device) -> float:
    """Bytes that may lie on `device` besides what training itself takes there."""
    if device.type != "cuda":
        return SMALL
    # What torch keeps for later counts as taken; how much it is depends on what came before.
    torch.cuda.empty_cache()
    return SHARE * torch.cuda.mem_get_info(device)[0]


def shelf(device: torch.device, model: int, clients: int) -> torch.device:
    """Where what the clients keep and send lies between their turns.

    Four models of `model` bytes for each client are the most that a method needs: SCAFFOLD's
    control variate, old and new, and its two uploads.
    """
    return device if 4 * model * clients <= room(device) else torch.device("cpu")
