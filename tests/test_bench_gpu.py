"""`make bench-gpu` in its tiny version, and what it promises: shares, guards, results kept."""

import csv
import signal
from dataclasses import replace
from datetime import date

import pytest
import torch

from regl_core import params, tuning
from tools.bench import gpu, gpu_generation, lines, measuring, pairs
from tools.bench.gpu_generation import Generation, bare_tuning
from tools.bench.lines import Findings, Line
from tools.bench.measuring import Amounts, Machine, Section

CPU = Machine("cpu", torch.device("cpu"), repeats=1)
COLUMNS = ["machine", "unit", "size", "dtype", "per_second", "memory_gb", "share_of_bare"]
COMPARED = {
    *("trained", "trained, SCAFFOLD", "trained, MOON"),
    *("trained, bare loop", "trained, streamed from a file"),
    *("evaluated", "sampled", "sampled, tuned", "tuned", "embedded", "captioned"),
}
ALONE = {"denoised", "decoded", "encoded"}


class Hours:
    """A clock that only work moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, *seconds: float):
        """Work that takes this long, the last of them from then on."""
        left = list(seconds)

        def work() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return work


@pytest.fixture
def line() -> Line:
    return Line("cpu", "trained", "resnet34 224", "float32", 12.5, 1.0, 0.5)


def test_tiny_version(tmp_path):
    findings = gpu.bench(CPU, 600, tmp_path)
    assert findings.failed == []
    with (tmp_path / "gpu.csv").open(newline="") as file:
        table = csv.DictReader(file)
        assert table.fieldnames == COLUMNS
        rows = list(table)
    assert {row["machine"] for row in rows} == {"cpu"}
    assert {row["unit"] for row in rows} == COMPARED | ALONE
    for row in rows:
        assert float(row["per_second"]) > 0 and float(row["memory_gb"]) > 0
        assert (row["share_of_bare"] == "") == (row["unit"] in ALONE)
    keys = [(row["unit"], row["size"], row["dtype"]) for row in rows]
    assert len(set(keys)) == len(keys)
    page = (tmp_path / "cpu.md").read_text()
    for fact in ("tiny version", str(date.today()), f"torch {torch.__version__.split('+')[0]}"):
        assert fact in page


@pytest.fixture
def small() -> Generation:
    settings = params.load("smoke", {"lora.steps": 2, "synthesis.batch_size": 2})
    return Generation(
        CPU, settings, 64, Amounts(lessons=2, captions=2, features=2, counts=(), tested=0)
    )


def adapted(generation: Generation) -> int:
    """How many tensors of adapters the U-Net carries, or learns."""
    named = generation._foundation.pipeline.unet.named_parameters()
    return sum("lora" in name or tensor.requires_grad for name, tensor in named)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, measuring.OutOfTime])
def test_a_bare_loop_that_is_stopped_leaves_the_model_as_it_was(small, monkeypatch, error):
    def stopped(*arguments, **named):
        assert adapted(small) > 0
        raise error

    monkeypatch.setattr(gpu_generation.F, "mse_loss", stopped)
    lesson = tuning.Lesson(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), ["a", "b"], None)
    lesson = replace(lesson, tokens=torch.ones(2, small._width))
    with pytest.raises(error):
        bare_tuning(small._foundation, lesson, small._settings.lora)
    assert adapted(small) == 0


def test_ours_and_bare_draw_with_the_adapter_and_what_follows_without(small, monkeypatch):
    carried = []

    def measure(self, unit, size, dtype, amount, ours, bare, seconds):
        for work in (ours, bare):
            carried.append(adapted(small))
            work()
        return Line("cpu", unit, size, dtype, 1.0, 1.0, 1.0)

    monkeypatch.setattr(Machine, "measure", measure)
    (line,) = small.sampled_tuned(1.0)
    assert line.unit == "sampled, tuned" and carried[0] == carried[1] > 0
    (line,) = small.sampled(1.0)
    assert line.unit == "sampled" and carried[2:] == [0, 0]


def test_shares_come_from_both(monkeypatch):
    clock = Hours()
    both = pairs.compare(clock.work(90, 2, 4, 3), clock.work(70, 1, 1, 3), clock, repeats=3)
    assert both.warm and both.ours == (2, 4, 3) and both.bare == (1, 1, 3)
    assert both.share == 0.5 and both.seconds == (3, 1)
    monkeypatch.setattr(measuring, "clock", lambda device: clock)
    ours, bare = clock.work(9, 4), clock.work(9, 3)
    found = CPU.measure("trained", "resnet34 224", "float32", 10, ours, bare, 600)
    assert found.per_second == 2.5 and found.share_of_bare == 0.75
    alone = CPU.measure("decoded", "64", "float32", 10, clock.work(9, 4), None, 600)
    assert alone.per_second == 2.5 and alone.share_of_bare is None


def test_a_first_pair_counts_if_there_is_time_for_no_other(tmp_path, monkeypatch):
    clock = Hours()
    both = pairs.compare(clock.work(2), clock.work(1), clock, repeats=3, seconds=0)
    assert both == pairs.Timings((2,), (1,), warm=False)
    monkeypatch.setattr(measuring, "clock", lambda device: clock)
    findings = Findings(tmp_path, "cpu", "a test")
    found = CPU.measure("sampled", "64", "float32", 10, clock.work(2), clock.work(1), 0)
    findings.add(found)
    assert found.share_of_bare == 0.5 and not found.warm
    assert "- Measured once" in (tmp_path / "cpu.md").read_text()


def test_what_fails_or_lasts_too_long_costs_nothing_else(tmp_path, line):
    def failing(seconds):
        yield line
        raise torch.OutOfMemoryError("CUDA out of memory")

    def too_long(seconds):
        yield replace(line, unit="tuned")
        signal.raise_signal(signal.SIGALRM)

    def last(seconds):
        # What was found before stands in the file already.
        assert [one.unit for one in lines.read(tmp_path / "gpu.csv")] == ["trained", "tuned"]
        yield replace(line, unit="sampled", share_of_bare=None)

    done = []
    sections = [
        Section("first", 1, failing, lambda: done.append("first")),
        Section("second", 1, too_long),
        Section("third", 1, last),
    ]
    findings = Findings(tmp_path, "cpu", "a test")
    measuring.run(sections, 600, findings)
    assert [one.unit for one in lines.read(tmp_path / "gpu.csv")] == ["trained", "tuned", "sampled"]
    assert done == ["first"]
    first, second = findings.failed
    assert first == "first, from here on: OutOfMemoryError: CUDA out of memory"
    assert second.startswith("second, from here on: OutOfTime")
    page = (tmp_path / "cpu.md").read_text()
    assert f"- Not measured: {first}" in page and f"- Not measured: {second}" in page
