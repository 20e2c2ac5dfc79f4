"""What `gpu.py` finds, a line for each kind of work, written whenever there is one more."""

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields
from datetime import date
from pathlib import Path

from regl_core.report import commit, libraries
from regl_core.system import put


@dataclass(frozen=True)
class Line:
    """How fast a machine does one kind of work; its fields but the last are gpu.csv's columns."""

    machine: str  # the GPU's name, or "cpu": the tiny version
    unit: str  # what is counted
    size: str  # of the model, and side of its images in pixels
    dtype: str  # number format, and how the arithmetic is done besides
    per_second: float
    memory_gb: float  # largest amount held on the GPU; on a CPU, by the process so far
    share_of_bare: float | None  # of the bare loop's speed, 1 is all; None: nothing to compare
    warm: bool = True  # False: measured once, with all that happens at the first time alone


COLUMNS = tuple(column.name for column in fields(Line))[:-1]


@dataclass
class Findings:
    """Lines and failures of one run on `machine`, kept in `folder` from the first one on.

    gpu.csv holds the lines of all machines; those of this run replace its machine's earlier ones.
    <machine>.md says the same of this run for a reader, what failed included.
    """

    folder: Path
    machine: str
    title: str
    lines: list[Line] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    made: str = field(
        default_factory=lambda: f"{date.today()}, commit {commit()}, {libraries()}.", init=False
    )

    def add(self, line: Line) -> None:
        """One more line; both files are written whole."""
        self.lines.append(line)
        print(_said(line), flush=True)
        self._write()

    def fail(self, what: str) -> None:
        """`what` was not measured, and why."""
        self.failed.append(what)
        print(f"not measured: {what}", flush=True)
        self._write()

    def _write(self) -> None:
        others = [line for line in read(self.folder / "gpu.csv") if line.machine != self.machine]
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(_cells, others + self.lines))
        page = re.sub(r"\W+", "-", self.machine.lower()).strip("-")
        files = {"gpu.csv": table.getvalue(), f"{page}.md": self._page()}
        put({name: content.encode() for name, content in files.items()}, self.folder)

    def _page(self) -> str:
        rows = [
            f"| {line.unit} | {line.size} | {line.dtype} | {_figures(line.per_second)} "
            f"| {line.memory_gb:.2f} | {_percent(line.share_of_bare)} |"
            for line in self.lines
        ]
        cold = [
            f"- Measured once, what happens at the first time alone included: {line.unit}, "
            f"{line.dtype}."
            for line in self.lines
            if not line.warm
        ]
        notes = cold + [f"- Not measured: {what}" for what in self.failed]
        return "\n".join(
            [
                f"# {self.machine}: {self.title}",
                "",
                self.made,
                "",
                "| what is counted | size | number format | per second | memory, GB "
                "| share of bare, % |",
                "|---|---|---|---:|---:|---:|",
                *rows,
                *([""] if notes else []),
                *notes,
                "",
            ]
        )


def read(path: Path) -> list[Line]:
    """The lines of the CSV `path`, none if it is not there."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Line(
                row["machine"],
                row["unit"],
                row["size"],
                row["dtype"],
                float(row["per_second"]),
                float(row["memory_gb"]),
                float(row["share_of_bare"]) if row["share_of_bare"] else None,
            )
            for row in csv.DictReader(file)
        ]


def _cells(line: Line) -> Sequence[str]:
    machine, unit, size, dtype, speed, memory, share, _ = astuple(line)
    return machine, unit, size, dtype, _figures(speed), f"{memory:.3f}", _rounded(share)


def _figures(value: float) -> str:
    """Four figures, never an exponent."""
    return f"{value:.{max(0, 3 - math.floor(math.log10(value)))}f}"


def _rounded(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _said(line: Line) -> str:
    compared = f", {_percent(line.share_of_bare)} % of bare" if line.share_of_bare else ""
    return (
        f"{line.unit}, {line.size}, {line.dtype}: {_figures(line.per_second)} per second"
        f"{compared}, {line.memory_gb:.2f} GB{'' if line.warm else ', measured once'}"
    )
