"""What stages take in disk and memory: estimates from shapes, nothing is measured.

Disk: results as `counts` has them. Images are uint8, 3 × side² bytes each, at the side of
the data set; an adapter has rank × (inputs + outputs) numbers of 4 bytes for each layer of
the U-Net's attention, a network its weights in float32, a feature its width in float32.

Memory of a GPU: the weights of all three generative models, which a process that has used them
keeps, the images that a client tunes on, encoded, and the largest of its passes, for a whole
batch, by the shapes of its tensors (`architectures`). Training has COPIES of the network besides:
weights, gradient, momentum or a term's constants, and the models received, started from and sent.

Memory of the computer, for each process: LIBRARIES; the generative models where they run on
the processor, or while they are loaded, with the largest pass; and of a federation what each client
keeps and sends, KEPT_BY_CLIENT models. Images lie in files, mapped into memory, which the system
lets go of when it needs room.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..params import FoundationSettings
from ..system import resolved
from . import architectures
from .work import KEPT, Unit, Work, generative

COPIES = 6  # of a network, on the device that trains it
KEPT_BY_CLIENT = 4  # models at most: SCAFFOLD's control variate, old and new, and its two uploads
CONTEXT = 1.0e9  # bytes that the driver and its libraries take on a GPU
LIBRARIES = 1.5e9  # bytes of a process that has imported what it needs


@dataclass(frozen=True)
class Peak:
    """The most that one process takes at once, in bytes: on its GPU, and in the computer."""

    gpu: float
    ram: float


def disk(work: Work) -> float:
    """Bytes of the results."""
    return sum(amount * _size(unit) for unit, amount in work.items())


def at_most(works: Iterable[Work]) -> float:
    """A bound on what all of `works` write, checkpoints too, that asks no model; takes no time."""
    results, held = 0.0, 0.0
    for work in works:
        for unit, amount in work.items():
            if unit.what == "client":
                held = max(held, KEPT_BY_CLIENT * amount * _bound(unit))
            else:
                results += amount * _bound(unit)
    return results + held


def checkpoints(works: Iterable[Work]) -> float:
    """Bytes of the largest checkpoint of a federation: what its clients keep and have sent."""
    return max((_held(work) for work in works), default=0.0)


def _held(work: Work) -> float:
    return sum(
        KEPT_BY_CLIENT * amount * architectures.weights(unit)
        for unit, amount in work.items()
        if unit.what == "client"
    )


def peak(works: Iterable[Work], foundation: FoundationSettings, smallest: bool = False) -> Peak:
    """Of one process that computes all of `works`, with the models of `foundation`.

    smallest : with single images where memory is short, as sampling, tuning, captions and features
    make do with them. Training does not, as that would change its results.
    """
    amounts: dict[Unit, float] = {}
    for work in works:
        for unit, amount in work.items():
            amounts[unit] = max(amount, amounts.get(unit, 0.0))
    timed = [it for it, much in amounts.items() if much and it.what not in (*KEPT, "start")]
    parts = ("denoised", "embedded", "captioned") if any(not it.side for it in timed) else ()
    models = sum(architectures.weights(generative(what, foundation)) for what in parts)
    encoded = [(it, much) for it, much in amounts.items() if it.what == "encoded"]
    lesson = max((much * architectures.lesson_size(it) for it, much in encoded), default=0.0)
    sizes = {"cuda": [], "cpu": []}
    for unit in timed:
        batched = replace(unit, batch=1) if smallest and not unit.side else unit
        sizes[resolved(unit.device)].append(_pass(batched))
    passes = {device: max(found, default=0.0) for device, found in sizes.items()}
    generating = {device: 0.0 for device in sizes} | {resolved(foundation.device): models + lesson}
    gpu = CONTEXT + generating["cuda"] + passes["cuda"] if passes["cuda"] else 0.0
    held = checkpoints({unit: amount} for unit, amount in amounts.items())
    return Peak(gpu, LIBRARIES + max(models, generating["cpu"]) + passes["cpu"] + held)


def _pass(unit: Unit) -> float:
    """Bytes of a pass, with the copies of the network where one is trained."""
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
        case "network" | "client":  # a ResNet34 takes two thirds of it, other ResNets less
            return 3e4 * int(unit.model.split()[1]) ** 2
        case "rank":  # Stable Diffusion's take 0.8 MB
            return 1e6
        case "feature":
            return 4 * 2048
    return 0
