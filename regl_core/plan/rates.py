"""How long a unit of work takes, and how we know: measured on this machine, or from a table.

`rates.csv` has figures measured or published, each with its source; `make plan CALIBRATE=1` adds
those of this machine, in a table of the same form below the store. Nothing is assumed or scaled.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ReglError
from ..system import put
from .counts import BYTE, START, Unit, of

if TYPE_CHECKING:
    from ..engine import Stage

TABLE = Path(__file__).with_name("rates.csv")
KEPT = Path("rates", "measured.csv")  # below the store
COLUMNS = ("what", "model", "side", "dtype", "device", "card", "seconds", "source")


@dataclass(frozen=True)
class Rate:
    """Seconds for one of `unit` on `card`, and where the figure comes from."""

    unit: Unit
    card: str
    seconds: float
    source: str


def known(store: Path, machines: Mapping[str, str]) -> dict[Unit, Rate]:
    """The most trusted rate of every unit of which there is one.

    store : below whose root measurements are kept. machines : what computes here, by kind of
    device. A figure of another card stands in for a processor, of which one is much like another,
    and for a GPU where there is none: it is planned for one elsewhere.
    """
    rows = [*_read(TABLE), *_read(store / KEPT)]
    others = [it for it in rows if it.unit.device == "cpu" or it.unit.device not in machines]
    own = [it for it in rows if machines.get(it.unit.device, "").startswith(it.card)]
    always = Rate(START, "", 1.0, ""), Rate(BYTE, "", 0.0, "")
    return {it.unit: it for it in (*others, *own, *always)}


def seconds(store: Path, machines: Mapping[str, str]) -> Callable[["Stage"], float]:
    """How long a stage takes, for `run_stages` to tell what share of its work is done.

    What is not known counts as if another model did it.
    """
    rates = known(store, machines)
    likely = {it.unit.what: it for it in [*_read(TABLE), *rates.values()]}
    return lambda stage: sum(
        amount * rates.get(unit, likely[unit.what]).seconds for unit, amount in of(stage).items()
    )


def keep(found: Iterable[Rate], store: Path) -> None:
    """Keep what was measured below `store`, in the place of earlier figures of the same."""
    new = {(it.unit, it.card): it for it in [*_read(store / KEPT), *found]}
    text = io.StringIO()
    rows = [[*astuple(it.unit), it.card, it.seconds, it.source] for it in new.values()]
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    put({KEPT.name: text.getvalue().encode()}, (store / KEPT).parent)


def _read(path: Path) -> list[Rate]:
    """The rows of a table, none if it is not there. ReglError where it is not such a table."""
    if not path.exists():
        return []
    try:
        _, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
        return [
            Rate(Unit(what, model, int(side), dtype, device), card, float(took), source)
            for what, model, side, dtype, device, card, took, source in rows
        ]
    except (OSError, ValueError, csv.Error):
        raise ReglError(
            f"{path} is no table of measured rates: remove it, and run make plan CALIBRATE=1"
        ) from None
