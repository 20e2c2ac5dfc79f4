"""How fast this machine does the work of a plan: each unit for some seconds, and kept.

The very functions that stages call are timed, on random images, with the models of the settings.
"""

import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from .. import conditions, foundation, generation, models, training, tuning
from ..clients import ClientData
from ..errors import ReglError
from ..params import Settings, TrainingSettings
from ..system import machines, one_thread
from .counts import Unit
from .rates import Rate, keep

SECONDS = 1.0  # of a run that is measured, at most; there are five of them
STEPS = 8  # of tuning
Run = Callable[[int], object]  # works on so many images at once


def measure(units: Iterable[Unit], settings: Settings, store: Path) -> list[str]:
    """Measure those of `units` whose device is here, and keep what is found below `store`.

    What cannot be measured, as models are missing or do not fit into the memory, is told in what
    is returned, and costs no other its measurement.
    """
    here, found, told = machines(), [], []
    load = cache(foundation.load)
    for unit in (it for it in units if it.model and it.device in here):
        try:
            with one_thread(), training.in_memory(f"measuring {unit.what}", settings.training):
                if unit.side:
                    work = _network(unit, settings.training), 512, 1
                else:
                    work = _generates(load(settings.foundation), settings)[unit.what]
                seconds = _seconds(*work)
            found.append(Rate(unit, here[unit.device], seconds, "measured here"))
        except ReglError as error:
            told.append(f"not measured: {unit.what}: {error}")
    keep(found, store)
    return told


def _generates(its: foundation.Foundation, settings: Settings) -> dict[str, tuple[Run, int, int]]:
    """By work what does it with the models `its`, on how many images at most, how often on each."""
    how, lora, path = settings.synthesis, settings.lora, (0, "calibration")
    prompt, side = conditions.vanilla_prompt(how.prompt, "one"), its.image_side

    def lesson(count: int) -> tuning.Lesson:
        return tuning.Lesson(_images(count, side), [prompt] * count, None)

    def caption(count: int) -> None:
        # Of black ones: a small captioner may find no end to what it says of noise.
        conditions.captions(its, 0 * _images(count, side), ("thing",))

    def sample(count: int) -> None:
        seeds = [(*path, number) for number in range(count)]
        generation.sample(its, [prompt] * count, None, seeds, how)

    def tune(count: int) -> None:
        own = lora.model_copy(update={"steps": STEPS, "batch_size": count})
        with TemporaryDirectory() as folder:
            tuning.tune(its, lesson(count), None, own, Path(folder), path)

    passes = how.sampling_steps * (1 + (how.guidance > 1))
    return {
        "captioned": (caption, conditions.BATCH, 1),
        "embedded": (lambda n: conditions.features(its, _images(n, side)), conditions.BATCH, 1),
        "encoded": (lambda n: tuning.encode(its, lesson(n)), tuning.BATCH, 1),
        "denoised": (sample, how.batch_size, passes),
        "tuned": (tune, lora.batch_size, STEPS),
    }


def _network(unit: Unit, how: TrainingSettings) -> Run:
    """What trains or evaluates the network of `unit`."""
    name, width = unit.model.split()
    device = foundation.pick_device(unit.device)
    layout = torch.channels_last if device.type == "cuda" else torch.preserve_format
    net = models.build(name, 10, int(width), unit.side, seed=0)
    net = net.to(device, memory_format=layout)

    def run(count: int) -> None:
        data = ClientData(_images(count, unit.side), torch.arange(count) % 10).to(device)
        if unit.what == "trained":
            training.local_sgd(net, data, how, (0, "calibration"), [training.Phase(1)])
        else:
            training.evaluate(net, data, how.precision)

    return run


def _images(count: int, side: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 3, side, side), generator=draw, dtype=torch.uint8)


def _seconds(run: Run, most: int, often: int) -> float:
    """For one of the units of which `run` does `often` for each image, `most` images at once."""
    on_gpu = torch.cuda.is_available()
    clock = time.perf_counter if on_gpu else time.process_time  # which others disturb less

    def took(count: int) -> float:
        start = clock()
        run(count)
        if on_gpu:
            torch.cuda.synchronize()
        return clock() - start

    took(2)  # warms up
    count = max(2, min(most, round(2 * SECONDS / took(2))))
    took(count)
    return min(took(count) for _ in range(3)) / count / often
