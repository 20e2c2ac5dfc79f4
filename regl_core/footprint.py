"""What stages take in disk and memory: estimates from shapes, nothing is measured.

Disk: results as `Stage.work` counts them. Images are uint8, 3 × side² bytes each, at the side of
the data set; an adapter has rank × (inputs + outputs) numbers of 4 bytes for each layer of
the U-Net's attention, a network its weights in float32, a feature its width in float32.

Memory of a GPU: the weights of all three generative models, which a process that has used them
keeps, and the largest of its passes, for a whole batch, by the shapes of its tensors
(`architectures`). Training has COPIES of the network besides: weights, gradient, momentum or
a term's constants, and the models received, started from and sent.

Memory of the computer, for each process: LIBRARIES; the generative models where they run on
the processor, or while they are loaded, with the largest pass; and of a federation what each client
keeps and sends, KEPT_BY_CLIENT models. Images lie in files, mapped into memory, which the system
lets go of when it needs room.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from . import architectures
from .params import FoundationSettings
from .rates import resolved
from .work import KEPT, Unit, Work, generative

COPIES = 6  # of a network, on the device that trains it
KEPT_BY_CLIENT = 4  # models at most: SCAFFOLD's control variate, old and new, and its two uploads
CONTEXT = 1.0e9  # bytes that the driver and its libraries take on a GPU
LIBRARIES = 1.5e9  # bytes of a process that has imported what it needs


@dataclass(frozen=True)
class Peak:
    """The most that one process takes at once, in bytes.

    least : on the GPU, with the smallest batches. Sampling, tuning, captions and features make do
        with these where memory is short; training does not, as that would change its results.
    """

    gpu: float
    ram: float
    least: float


def disk(work: Work) -> float:
    """Bytes of the results."""
    return sum(amount * _size(unit) for unit, amount in work.items())


def disk_at_most(work: Work) -> float:
    """A bound on `disk` that asks no model, and takes no time."""
    return sum(amount * _bound(unit) for unit, amount in work.items())


def peak(works: Iterable[Work], foundation: FoundationSettings) -> Peak:
    """Of one process that computes all of `works`, with the models of `foundation`."""
    amounts: dict[Unit, float] = {}
    for work in works:
        for unit, amount in work.items():
            amounts[unit] = max(amount, amounts.get(unit, 0.0))
    timed = [it for it, much in amounts.items() if it.what not in (*KEPT, "start") and much]
    parts = ("denoised", "embedded", "captioned") if any(not it.side for it in timed) else ()
    models = sum(architectures.weights(generative(what, foundation)) for what in parts)
    there = {kind: [it for it in timed if resolved(it.device) == kind] for kind in ("cuda", "cpu")}
    resident = models if resolved(foundation.device) == "cuda" else 0
    clients = [
        KEPT_BY_CLIENT * amount * architectures.weights(unit)
        for unit, amount in amounts.items()
        if unit.what == "client"
    ]
    smallest = [it if it.side else replace(it, batch=1) for it in there["cuda"]]
    gpu, least = (
        CONTEXT + resident + max(map(_pass, units)) if units else 0.0
        for units in (there["cuda"], smallest)
    )
    ram = LIBRARIES + models + max(map(_pass, there["cpu"]), default=0) + max(clients, default=0)
    return Peak(gpu, ram, least)


def _pass(unit: Unit) -> float:
    """Bytes of a pass, with the network where one is trained."""
    network = architectures.weights(replace(unit, dtype="float32")) if unit.side else 0
    return architectures.measured(unit).bytes + COPIES * network


def _size(unit: Unit) -> float:
    match unit.what:
        case "byte":
            return 1
        case "network":
            return architectures.weights(unit)
        case "rank":
            return 4 * architectures.rank_size(unit)
        case "feature":
            return 4 * architectures.feature_width(unit)
    return 0


def _bound(unit: Unit) -> float:
    match unit.what:
        case "byte":
            return 1
        case "network":  # a ResNet34, the widest for its first stage, takes two thirds of it
            return 3e4 * int(unit.model.split()[1]) ** 2
        case "rank":  # Stable Diffusion's take 0.8 MB
            return 1e6
        case "feature":
            return 4 * 2048
    return 0
