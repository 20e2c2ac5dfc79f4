"""How a method looks, the same in every figure: by its name, not by its place in a list.

What a reader has to find at a glance has a colour of its own, told apart by colour-blind readers
from each other and from grey, and none of those of real and synthetic images. The other baselines
are thin and grey. A method that is not in the paper is in colour: whoever adds one looks for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "<", ">")
GREYS = ("#6E6E6E", "#A0A0A0")
# The lengths of the cycles have no common divisor: many styles before one comes again.
COLOURS = ("#E69F00", "#009E73", "#CC79A7")


@dataclass(frozen=True)
class MethodStyle:
    """A line's colour, dashes and marker. thin: one of many, in the background."""

    colour: str
    line: Any
    marker: str
    thin: bool = False

    @property
    def keywords(self) -> dict[str, Any]:
        """Keywords for `Axes.plot`."""
        return {
            "color": self.colour,
            "linestyle": self.line,
            "linewidth": 1.0 if self.thin else 1.8,
            "marker": self.marker,
            "markersize": 4 if self.thin else 5.5,
            "markerfacecolor": "white" if self.thin else self.colour,
            "zorder": 2.0 if self.thin else 2.5,
        }


FIXED = {
    "Centralized": MethodStyle("#000000", "-", "o"),
    "FedAvg": MethodStyle("#4527A0", "--", "s"),
    "ReGL (TF)": MethodStyle("#2E9BD6", "-.", "^"),
    "ReGL (FT)": MethodStyle("#D55E00", "-", "D"),
}
RANGES = ("FedAvg", "ReGL (TF)", "ReGL (FT)")  # of which curves show the range of the seeds
# Those of Tables 2 and 3, then those of Table 4: within a table no two share grey and dashes.
BASELINES = (
    *("FedProx", "SCAFFOLD", "FedNova", "FedOpt", "MOON", "FedAlign", "DynaFed"),
    *("Separate", "FedRep", "FedBN", "FedAMP", "pFedGate", "FedCAC"),
)


def method_styles(methods: Sequence[str], loud: bool = False) -> dict[str, MethodStyle]:
    """The style of each method. loud: where baselines are the subject, they are in colour, too."""
    known = FIXED if loud else {**FIXED, **_baselines()}
    others = [name for name in dict.fromkeys(methods) if name not in known]
    found = known | {name: _new(place) for place, name in enumerate(others)}
    return {name: found[name] for name in methods}


def _baselines() -> dict[str, MethodStyle]:
    found = {}
    for place, name in enumerate(BASELINES):
        colour, line, marker = (own[place % len(own)] for own in (GREYS, LINES, MARKERS))
        found[name] = MethodStyle(colour, line, marker, thin=True)
    return found


def _new(place: int) -> MethodStyle:
    # From the other end: where it covers FedAvg's line, that one shows through the gaps.
    colour, line, marker = (own[place % len(own)] for own in (COLOURS, LINES[::-1], MARKERS[::-1]))
    return MethodStyle(colour, line, marker)
