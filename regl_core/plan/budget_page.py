"""A budget in words: what `make plan` prints."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from .budget import Budget, Kind, Line
from .work import KEPT, total

GB = 1e9
SURE = 0.995  # a share above which "all of it" is said


def told(budget: Budget, notes: Sequence[str] = ()) -> str:
    """Tables of the notebooks, of the kinds of stages and of the rates; then what they mean.

    notes : lines to add.
    """
    parts = [
        _table([_line(line, budget.on_gpu) for line in budget.lines]),
        _table([_kind(kind, budget.on_gpu) for kind in budget.kinds]),
        _table(_rates(budget)),
        "\n".join([*_legend(budget), *notes]),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    return pd.DataFrame(rows).to_string(index=False, float_format="{:,.1f}".format) if rows else ""


def _line(line: Line, on_gpu: bool) -> dict[str, Any]:
    return {
        "notebook": line.notebook,
        "runs": line.runs,
        "stages": line.stages,
        "unique": line.unique,
        "shared": line.shared,
        "present": line.present,
        **_times(line.device_seconds, line.seconds, on_gpu),
        "disk GB": line.disk / GB,
        **({"GPU GB": line.peak.gpu / GB} if on_gpu else {}),
        "RAM GB": line.peak.ram / GB,
    }


def _times(device: float, wall: float, on_gpu: bool) -> dict[str, float]:
    return {"GPU-hours": device / 3600, "hours": wall / 3600} if on_gpu else {"minutes": wall / 60}


def _kind(kind: Kind, on_gpu: bool) -> dict[str, Any]:
    unit, size = ("GPU-hours", 3600) if on_gpu else ("minutes", 60)
    return {
        "stage": kind.kind,
        "unique": kind.unique,
        "missing": kind.missing,
        unit: kind.device_seconds / size,
    }


def _rates(budget: Budget) -> list[dict[str, Any]]:
    """Of every unit of work how much there is, how much of it in a second, and how we know."""
    alike = total(*({replace(unit, batch=1): much} for unit, much in budget.work.items()))
    timed = [it for it, much in alike.items() if much and it.what not in (*KEPT, "start")]
    return [
        {
            "images": unit.what,
            "model": unit.model,
            "side": unit.side or "",
            "number format": unit.dtype,
            "thousands": alike[unit] / 1e3,
            "per second": 1 / budget.rates.of(unit).seconds,
            "how we know": budget.rates.of(unit).source,
        }
        for unit in sorted(timed, key=lambda it: (it.what, it.model, it.side))
    ]


def _legend(budget: Budget) -> list[str]:
    share = budget.measured
    sure = "all" if share > SURE else f"{100 * share:.0f} %"
    if budget.on_gpu:
        gpus = f"{budget.workers} GPU{'s' * (budget.workers > 1)}"
        times = f"GPU-hours: of one GPU; hours: on {gpus}"
    else:
        times = f"minutes: of the notebooks on {budget.workers} cores, of the stages on one"
    return [
        f"{times}; {sure} of the time rests on measurements of this very work",
        "a notebook's time and disk leave out what an earlier one in the list has computed",
        "disk: to be written; GPU, RAM: the most that one process holds, by the shapes of tensors",
    ]
