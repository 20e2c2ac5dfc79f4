"""How fast this machine does the work of a plan: each kind for some seconds, and kept.

The very functions that stages call are timed, on random images, with the models of the settings.
What happens once in a call is subtracted where steps follow it.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from .. import conditions, foundation, generation, models, training, tuning
from ..clients import ClientData
from ..errors import ReglError
from ..foundation import Foundation
from ..params import Settings
from ..system import exhausted, machines, one_thread, resolved
from ..training import Phase
from .architectures import at_hand
from .rates import HERE, Rates, Sample, keep
from .work import Unit, Work, generative

SECONDS = 4.0  # about how long a kind of work is measured
FEW, MORE = 2, 6  # steps; their difference is what steps take
CLASSES = 10  # of a classifier


def measure(works: Iterable[Work], settings: Settings, store: Path, anew: bool) -> list[str]:
    """Measure the units of `works` that can be, and keep what is found below `store`; what to say.

    Those of a GPU of which nothing is known are measured; with `anew` all whose device and models
    are at hand. What does not fit into the memory, or cannot be loaded, is told, and costs no other
    its measurement.
    """
    rates, start = Rates.known(store), time.monotonic()
    units = [it for it in _possible(works, settings) if anew or _unknown(it, rates)]
    if not units:
        return []
    samples, told, bench = [], [], _Bench(settings)
    with one_thread():
        for unit in units:
            amount = max(1, round(SECONDS / rates.of(unit).seconds))
            try:
                seconds = MEASURED[unit.what](bench, unit, amount)
            except RuntimeError as error:
                if not exhausted(error):
                    raise
                told.append(f"not measured, as memory is too small: {unit.what}: {error}")
                continue
            except ReglError as error:  # of `Fitting`, or of models that cannot be loaded
                told.append(f"not measured: {unit.what}: {error}")
                continue
            samples.append(Sample(machines()[resolved(unit.device)], unit, seconds, HERE))
    keep(samples, store)
    kinds = ", ".join(dict.fromkeys(it.unit.what for it in samples))
    took = f"in {time.monotonic() - start:.0f} s"
    return [f"measured just now, {took}, and kept below {store}: {kinds or 'nothing'}", *told]


def _possible(works: Iterable[Work], settings: Settings) -> list[Unit]:
    """The units that can be measured: their device is here, and so are their models."""
    units = dict.fromkeys(it for work in works for it, much in work.items() if much)
    here = [it for it in units if it.what in MEASURED and resolved(it.device) in machines()]
    own = [it for it in here if not it.side]
    loaded = {it: generative(it.what, settings.foundation) for it in own}
    named = all((it.model, it.revision) == (its.model, its.revision) for it, its in loaded.items())
    if own and named and all(at_hand(it.model, it.revision) for it in own):
        return here
    return [it for it in here if it.side]


def _unknown(unit: Unit, rates: Rates) -> bool:
    return resolved(unit.device) == "cuda" and not rates.of(unit).source.startswith(HERE)


@dataclass(frozen=True)
class _Bench:
    settings: Settings

    @cached_property
    def models(self) -> Foundation:
        return foundation.load(self.settings.foundation)


def _captioned(bench: _Bench, unit: Unit, amount: int) -> float:
    side = bench.models.image_side
    # Black ones: a small captioner may find no end to what it says of noise.
    images = torch.zeros((min(amount, unit.batch), 3, side, side), dtype=torch.uint8)
    return _timed(lambda: conditions.captions(bench.models, images, ("thing",))) / len(images)


def _embedded(bench: _Bench, unit: Unit, amount: int) -> float:
    images = _images(min(amount, unit.batch), bench.models.image_side)
    return _timed(lambda: conditions.features(bench.models, images)) / len(images)


def _prompt(bench: _Bench) -> str:
    return conditions.vanilla_prompt(bench.settings.synthesis.prompt, "one")


def _lesson(bench: _Bench, count: int) -> tuning.Lesson:
    return tuning.Lesson(_images(count, bench.models.image_side), [_prompt(bench)] * count, None)


def _encoded(bench: _Bench, unit: Unit, amount: int) -> float:
    lesson = _lesson(bench, min(amount, unit.batch))
    return _timed(lambda: tuning.encode(bench.models, lesson)) / len(lesson.images)


def _decoded(bench: _Bench, unit: Unit, amount: int) -> float:
    pipeline = bench.models.pipeline
    side = pipeline.unet.config.sample_size
    shape = min(amount, unit.batch), pipeline.vae.config.latent_channels, side, side
    latents = torch.randn(shape).to(bench.models.device, bench.models.dtype)
    decode = torch.inference_mode()(lambda: pipeline.vae.decode(latents).sample.float().cpu())
    return _timed(decode) / len(latents)


def _denoised(bench: _Bench, unit: Unit, amount: int) -> float:
    how = bench.settings.synthesis
    passes = 1 + (how.guidance > 1)
    count = max(1, min(amount // (passes * MORE), unit.batch // passes))

    def sample(steps: int) -> None:
        its = how.model_copy(update={"sampling_steps": steps, "batch_size": count})
        seeds = [(0, "calibration", number) for number in range(count)]
        generation.sample(bench.models, [_prompt(bench)] * count, None, seeds, its)

    return _per_step(sample) / (passes * count)


def _tuned(bench: _Bench, unit: Unit, amount: int) -> float:
    count = max(1, min(amount // MORE, unit.batch))
    lesson = _lesson(bench, count)

    def tune(steps: int) -> None:
        its = bench.settings.lora.model_copy(update={"steps": steps, "batch_size": count})
        with TemporaryDirectory() as folder:
            tuning.tune(bench.models, lesson, None, its, Path(folder), (0, "calibration"))

    return _per_step(tune) / count


def _network(bench: _Bench, unit: Unit, amount: int) -> tuple[torch.nn.Module, ClientData]:
    """The network, and no more than two batches."""
    name, width = unit.model.split()
    count = max(2, min(amount, 2 * bench.settings.training.batch_size))
    net = models.build(name, CLASSES, int(width), unit.side, seed=0)
    images, labels = _images(count, unit.side), torch.arange(count) % CLASSES
    device = foundation.pick_device(unit.device)
    layout = torch.channels_last if device.type == "cuda" else torch.preserve_format
    return net.to(device, memory_format=layout), ClientData(images, labels).to(device)


def _trained(bench: _Bench, unit: Unit, amount: int) -> float:
    net, data = _network(bench, unit, amount)
    how, path = bench.settings.training, (0, "calibration")
    return _timed(lambda: training.local_sgd(net, data, how, path, [Phase(1)])) / len(data)


def _evaluated(bench: _Bench, unit: Unit, amount: int) -> float:
    net, data = _network(bench, unit, amount)
    how = bench.settings.training
    return _timed(lambda: training.evaluate(net, data, how.precision)) / len(data)


MEASURED: dict[str, Callable[[_Bench, Unit, int], float]] = {
    "captioned": _captioned,
    "embedded": _embedded,
    "encoded": _encoded,
    "decoded": _decoded,
    "denoised": _denoised,
    "tuned": _tuned,
    "trained": _trained,
    "evaluated": _evaluated,
}


def _images(count: int, side: int) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 3, side, side), generator=draw, dtype=torch.uint8)


def _per_step(run: Callable[[int], object]) -> float:
    """Seconds of one of the steps of which `run` does so many."""
    few, more = (_timed(lambda count=count: run(count)) for count in (FEW, MORE))
    return max(more - few, 0.01 * more) / (MORE - FEW)


def _timed(run: Callable[[], object]) -> float:
    """Seconds of `run`, the mean over as many as fit into the time; the first one warms up."""
    run()
    count, start = 0, _now()
    while not count or _now() - start < SECONDS / 2:
        run()
        count += 1
    return (_now() - start) / count


def _now() -> float:
    """Seconds: of the clock where a GPU works, else of this process, which others disturb less."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()
