"""How long a unit of work takes, and how we know that.

In this order: measured by `calibration` and kept below the store; measured by `make bench-gpu`, or
for the shipped tiny models on the reference machine, and shipped with this repository; the same,
scaled by the operations of the true architecture (`architectures`) where another size or model was
measured; else these operations at a throughput that is assumed.
"""

import csv
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..errors import ReglError
from ..params import ROOT
from ..system import machines, put, resolved
from .work import KEPT, Unit, Work

BENCH = ROOT / "tools" / "bench" / "results" / "gpu.csv"
FOLDER = "rates"  # below the store
SAME = 0.01  # architectures whose operations differ by less are taken for one
FAR = 30.0  # times the operations, beyond which a measurement tells nothing
HERE, SHIPPED = "measured here", "measured, shipped"
REFERENCE = "the reference machine, a core of an AMD EPYC"


@dataclass(frozen=True)
class Rate:
    """Seconds for a unit of work.

    measured : whether a clock says so, of the same work; else it is scaled or assumed.
    source : how we know, in words.
    """

    seconds: float
    measured: bool
    source: str


@dataclass(frozen=True)
class Sample:
    """A measurement: seconds for one of `unit`. origin : HERE or SHIPPED."""

    machine: str
    unit: Unit
    seconds: float
    origin: str


@dataclass(frozen=True)
class Card:
    """A device that is not measured: assumed operations per second, by kind of work, in bfloat16.

    float32 : the share of it that is left in float32. call : seconds that each call of the device
    takes at least.
    """

    name: str
    sustained: Mapping[str, float]
    float32: float
    call: float


# About what well-written programs reach, a fifth to a tenth of the peak. Nothing is measured here.
H200 = Card(
    "NVIDIA H200",
    {
        "denoised": 120e12, "tuned": 100e12, "decoded": 100e12, "encoded": 100e12,
        "captioned": 60e12, "embedded": 60e12, "trained": 60e12, "evaluated": 60e12,
    },
    0.5,
    1e-5,
)  # fmt: skip
CORE = Card("a processor core", dict.fromkeys(H200.sustained, 40e9), 1.0, 0.0)
CARDS = {"cuda": H200, "cpu": CORE}

# The tiny models and desk's network; seconds on the reference machine. From what stages of
# `make report` took there, divided where `calibration` tells what takes which part.
TINY = {
    Unit("captioned", "tiny/captioner"): 0.009,
    Unit("embedded", "tiny/image-encoder"): 0.001,
    Unit("encoded", "tiny"): 0.0003,
    Unit("decoded", "tiny"): 0.0004,
    Unit("denoised", "tiny"): 0.0015,
    Unit("tuned", "tiny"): 0.006,
    Unit("trained", "resnet_small 8", 16): 0.0003,
    Unit("evaluated", "resnet_small 8", 16): 0.00006,
}


@dataclass(frozen=True)
class Rates:
    """What was measured, the most trusted first, and what stands in for the rest."""

    samples: tuple[Sample, ...]
    _found: dict[Unit, Rate] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def known(cls, store: Path, bench: Path = BENCH) -> "Rates":
        """Every measurement at hand, those on this machine before those on others.

        store : the root of a store. Raises ReglError where `bench` is not as `make bench-gpu`
        writes it.
        """
        tiny = (Sample(REFERENCE, unit, seconds, SHIPPED) for unit, seconds in TINY.items())
        found, here = [*kept(store), *_shipped(bench), *tiny], machines().values()
        return cls(tuple(sorted(found, key=lambda it: it.machine not in here)))

    def of(self, unit: Unit) -> Rate:
        """The rate of a unit."""
        if unit not in self._found:
            self._found[unit] = self._find(unit)
        return self._found[unit]

    def seconds(self, work: Work) -> float:
        """About how long `work` takes on one device."""
        return sum(amount * self.of(unit).seconds for unit, amount in work.items())

    def _find(self, unit: Unit) -> Rate:
        if unit.what in KEPT or unit.what == "start":
            return Rate(float(unit.what == "start"), True, "")
        alike = [it for it in self.samples if _kind(it.unit) == _kind(unit)]
        for sample in alike:
            if _plain(sample.unit) == _plain(unit):
                return Rate(sample.seconds, True, _told(sample))
        from .architectures import measured as one_pass  # builds models, seconds of imports

        own = one_pass(unit)
        if unit.what == "evaluated":  # as fast as the forward passes of training
            trained = _kind(replace(unit, what="trained"))
            alike += [it for it in self.samples if _kind(it.unit) == trained]
        for sample in alike:
            times = own.operations / one_pass(sample.unit).operations
            if abs(times - 1) < SAME and sample.unit.what == unit.what:
                return Rate(sample.seconds, True, _told(sample))
            if 1 / FAR < times < FAR:
                what = f"{sample.unit.model} {sample.unit.side or ''}".strip()
                said = f"scaled by operations, {times:.2g} times those of {what}, {_told(sample)}"
                return Rate(times * sample.seconds, False, said)
        card = CARDS[resolved(unit.device)]
        speed = card.sustained[unit.what] * (card.float32 if unit.dtype == "float32" else 1)
        said = f"assumed, not measured: {speed / 1e12:.3g} Tflop/s on {card.name}"
        seconds = max(own.operations / speed, own.calls * card.call / unit.batch)
        return Rate(seconds, False, said)


def _kind(unit: Unit) -> tuple[str, str, str]:
    return unit.what, unit.dtype, resolved(unit.device)


def _plain(unit: Unit) -> Unit:
    return replace(unit, batch=1, device=resolved(unit.device))


def _told(sample: Sample) -> str:
    return f"{sample.origin}: {sample.machine}"


def keep(samples: Iterable[Sample], store: Path) -> None:
    """Keep `samples` below `store`, in the place of earlier ones of the same machine and work."""
    new = list(samples)
    again = {(it.machine, _plain(it.unit)) for it in new}
    old = [it for it in kept(store) if (it.machine, _plain(it.unit)) not in again]
    rows = [asdict(sample) for sample in [*new, *old]]
    put({"measured.json": json.dumps(rows, indent=1).encode()}, store / FOLDER)


def kept(store: Path) -> list[Sample]:
    """What `keep` kept; nothing, with a warning, where the file is not as it wrote it."""
    path = store / FOLDER / "measured.json"
    try:
        rows = json.loads(path.read_bytes())
        return [Sample(**{**row, "unit": Unit(**row["unit"])}) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        # No reason to compute nothing: these are estimates, and there are others.
        warnings.warn(
            f"{path}: expected measurements of `make plan CALIBRATE=1`; they are left out: "
            "measure anew",
            stacklevel=2,
        )
        return []


def _shipped(path: Path) -> Iterator[Sample]:
    """The measurements of `make bench-gpu` at true sizes; of its tiny version on a CPU none.

    Raises ReglError where a row lacks a column, or its size or speed is none.
    """
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                unit, seconds = _unit(row), 1 / float(row["per_second"])
            except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
                raise ReglError(
                    f"{path}, line {number}: expected machine, unit, size, dtype and a speed in "
                    "per_second, as make bench-gpu writes them; run it again"
                ) from None
            # Ways to train that are compared there have names of their own.
            if row["machine"] != "cpu" and unit.what in H200.sustained:
                yield Sample(row["machine"], unit, seconds, SHIPPED)


def _unit(row: Mapping[str, str]) -> Unit:
    """What a row measured; its size is a model's name and a side in pixels."""
    model, _, side = row["size"].rpartition(" ")
    unit = Unit(row["unit"], model, dtype=row["dtype"], device="cuda")
    if unit.what not in ("trained", "evaluated"):
        return unit
    return replace(unit, model=f"{model} 64", side=int(side))


def uses_gpu(work: Work) -> bool:
    """Whether any of it is done on a GPU."""
    timed = (unit for unit, amount in work.items() if amount and unit.what not in KEPT)
    return any(resolved(unit.device) == "cuda" for unit in timed)
