"""A stage of any amount of work, for the tests of what plans say."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from regl_core.engine import Stage
from regl_core.plan import counts
from regl_core.plan.counts import BYTE, Unit


@dataclass(frozen=True)
class Heavy(Stage):
    """Takes an amount of one unit, and keeps some bytes; computes nothing."""

    name: str
    unit: Unit
    amount: float
    kept: int = 0
    after: tuple[Stage, ...] = ()

    def needs(self) -> tuple[Stage, ...]:
        return self.after

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Callable) -> None:
        (folder / "name.txt").write_text(self.name)


@pytest.fixture(autouse=True)
def counted(monkeypatch):
    """Has `Heavy` counted, and no time to begin."""
    monkeypatch.setattr(counts, "BEGUN", 0.0)
    monkeypatch.setitem(counts.COUNTS, "Heavy", lambda it: {it.unit: it.amount, BYTE: it.kept})
