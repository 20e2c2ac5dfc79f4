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

SECONDS = 4.0  # about how long a measurement takes
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
                seconds = _seconds(*_works(unit, settings, load))
            found.append(Rate(unit, here[unit.device], seconds, "measured here"))
        except ReglError as error:
            told.append(f"not measured: {unit.what}: {error}")
    keep(found, store)
    return told


def _works(unit: Unit, settings: Settings, load: Callable) -> tuple[Run, int, int]:
    """What does the work of `unit`, on how many images at most, and how often on each."""
    how, lora, path = settings.synthesis, settings.lora, (0, "calibration")
    if unit.side:
        return _network(unit, settings.training), 512, 1
    its, prompt = load(settings.foundation), conditions.vanilla_prompt(how.prompt, "one")

    def images(count: int) -> torch.Tensor:
        return _images(count, its.image_side)

    def lesson(count: int) -> tuning.Lesson:
        return tuning.Lesson(images(count), [prompt] * count, None)

    def caption(count: int) -> None:
        # Of black ones: a small captioner may find no end to what it says of noise.
        conditions.captions(its, 0 * images(count), ("thing",))

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
        "embedded": (lambda n: conditions.features(its, images(n)), conditions.BATCH, 1),
        "encoded": (lambda n: tuning.encode(its, lesson(n)), tuning.BATCH, 1),
        "denoised": (sample, how.batch_size, passes),
        "tuned": (tune, lora.batch_size, STEPS),
    }[unit.what]


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
    run(2)  # warms up
    count = max(2, min(most, round(SECONDS / 2 / _timed(run, 2))))
    run(count)
    return _timed(run, count) / count / often


def _timed(run: Run, count: int) -> float:
    """Seconds: of the clock where a GPU works, else of this process, which others disturb less."""
    on_gpu = torch.cuda.is_available()
    clock = time.perf_counter if on_gpu else time.process_time
    start, times = clock(), 0
    while not times or clock() - start < SECONDS / 4:
        run(count)
        times += 1
    if on_gpu:
        torch.cuda.synchronize()
    return (clock() - start) / times
