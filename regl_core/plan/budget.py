"""What notebooks will cost, in words: each stage counted where it is first asked for."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain

from tabulate import tabulate

from ..engine import Stage, Store, closure
from ..hub import Sources
from ..params import Settings
from ..system import cores, gpus, machines
from .counts import BYTE, START, Unit, Work, of, total
from .dry_run import DryRun
from .rates import Rate, known

Rates = Mapping[Unit, Rate]
SHORT = 90 * 60  # seconds, up to which a time is told in minutes
UNKNOWN = "not measured here: make plan CALIBRATE=1"
NOTEBOOKS = ("notebook", "runs", "stages", "to compute", "device time", "disk")
RATES = ("images", "number", "per second", "device time", "how we know")


def told(
    asked: Mapping[str, Sequence[Stage]],
    built: DryRun,
    settings: Settings,
    store: Store,
    calibrate: bool = False,
) -> str:
    """What it takes to have what notebooks ask for: the answer in a line, then how we know.

    asked : by notebook, stages that `built` has built. calibrate : measure this machine first.
    """
    targets = list(chain.from_iterable(asked.values()))
    missing, notes = closure(targets, store.has), list(built.notes)
    work = total(map(of, missing.values()))
    if calibrate:
        from .calibration import measure  # loads the libraries of the models

        notes += measure(work, settings, store.root)
    rates, left, rows = known(store.root, machines()), dict(missing), [NOTEBOOKS]
    for name, own in asked.items():
        lacks = closure(own, lambda stage: stage.key not in missing)
        rows.append(_row(name, own, [left.pop(key) for key in lacks if key in left], rates))
    rows.append(_row("all", targets, missing.values(), rates))
    found = built.problems(missing.values(), settings, store.root)
    lacking = dict.fromkeys(text.partition(":")[0] for text in found)
    away = {it.key: it.name for it in Sources(settings.foundation).components() if it.on_hub}
    answer = (
        f"{time(missing, rates)}; disk: {_size(work.get(BYTE, 0) + sum(built.unpacked.values()))}; "
        f"to download: {', '.join(away[it] for it in lacking if it in away) or 'nothing'}; "
        f"missing: {', '.join(it for it in lacking if it not in away) or 'nothing'}"
    )
    tables = _table(rows), _table([RATES, *_rates(work, rates)])
    notes += [f"before it can run: {text}" for text in found]
    return "\n\n".join(part for part in (answer, *tables, "\n".join(notes)) if part)


def time(missing: Mapping[str, Stage], rates: Rates) -> str:
    """How long it takes to compute `missing`, each after those it needs, in words.

    One GPU is reckoned with where there is none and one is needed.
    """
    if not missing:
        return "time: none, all of it is there"
    work = total(map(of, missing.values()))
    on_gpu = any(unit.device == "cuda" for unit in work)
    workers = max(len(gpus()), 1) if on_gpu else cores()
    seconds = {key: _seconds(of(stage), rates) for key, stage in missing.items()}
    ends: dict[str, float] = {}  # what needs another stage waits for it
    for key, stage in missing.items():
        before = (ends[need.key] for need in stage.inputs if need.key in ends)
        ends[key] = seconds[key] + max(before, default=0.0)
    span = _duration(max(sum(seconds.values()) / workers, *ends.values()))
    where = f"{workers} {'GPU' if on_gpu else 'core'}{'s' * (workers > 1)}"
    if work.keys() - rates.keys():
        return f"time: {UNKNOWN}; what is known takes {span} on {where}"
    return f"time: about {span} on {where}"


def _row(name: str, targets: Sequence[Stage], added: Collection[Stage], rates: Rates) -> list[str]:
    work = total(map(of, added))
    counted = map(str, (len(targets), len(closure(targets)), len(added)))
    more, took = "> " * bool(work.keys() - rates.keys()), _duration(_seconds(work, rates))
    return [name, *counted, f"{more}{took}", _size(work.get(BYTE, 0))]


def _rates(work: Work, rates: Rates) -> Iterable[list[str]]:
    """Of every unit how much there is, the very rate that is reckoned with, and its source."""
    for it, amount in work.items():
        if it not in (START, BYTE):
            side = f", {it.side} pixels" * bool(it.side)
            known = ["?", "?", UNKNOWN]
            if rate := rates.get(it):
                took = rate.seconds * amount
                known = [f"{amount / took:,.1f}", _duration(took), f"{rate.card}, {rate.source}"]
            yield [f"{it.what}: {it.model}{side}, {it.dtype}", f"{amount:,.0f}", *known]


def _seconds(work: Work, rates: Rates) -> float:
    """Of what is known of `work`, on one device."""
    return sum(rates[unit].seconds * amount for unit, amount in work.items() if unit in rates)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:,.1f} min" if seconds < SHORT else f"{seconds / 3600:,.1f} h"


def _size(kept: float) -> str:
    return f"{kept / 1e6:,.1f} MB" if kept < 1e9 else f"{kept / 1e9:,.1f} GB"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """`rows` in columns: the first and the last set to the left, the numbers between to the right.

    Empty without more than a head.
    """
    align = ("left", *["right"] * (len(rows[0]) - 2), "left")
    plain = {"tablefmt": "plain", "disable_numparse": True, "colalign": align}
    return tabulate(rows[1:], rows[0], **plain) if rows[1:] else ""
