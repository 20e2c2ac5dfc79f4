"""How a method looks, the same in every figure: by its name, not by its place in a list.

What a reader has to find at a glance has a colour of its own, told apart by colour-blind readers
from each other and from grey, and none of those of real and synthetic images. The other baselines
are thin and grey. A method that is not in the paper is in colour: whoever adds one looks for it.
"""

from collections.abc import Sequence
from typing import Any

LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "<", ">")
GREYS = ("#6E6E6E", "#A0A0A0")
# The lengths of the cycles have no common divisor: many styles before one comes again.
COLOURS = ("#E69F00", "#009E73", "#CC79A7")


def _style(colour: str, line: Any, marker: str, thin: bool = False) -> dict[str, Any]:
    """Keywords for `Axes.plot`. thin: one of many, in the background."""
    return {
        "color": colour,
        "linestyle": line,
        "linewidth": 1.0 if thin else 1.8,
        "marker": marker,
        "markersize": 4 if thin else 5.5,
        "markerfacecolor": "white" if thin else colour,
        "zorder": 2.0 if thin else 2.5,
    }


FIXED = {
    "Centralized": _style("#000000", "-", "o"),
    "FedAvg": _style("#4527A0", "--", "s"),
    "ReGL (TF)": _style("#2E9BD6", "-.", "^"),
    "ReGL (FT)": _style("#D55E00", "-", "D"),
}
RANGES = ("FedAvg", "ReGL (TF)", "ReGL (FT)")  # of which curves show the range of the seeds
# Those of Tables 2 and 3, then those of Table 4: within a table no two share grey and dashes.
BASELINES = (
    *("FedProx", "SCAFFOLD", "FedNova", "FedOpt", "MOON", "FedAlign", "DynaFed"),
    *("Separate", "FedRep", "FedBN", "FedAMP", "pFedGate", "FedCAC"),
)


def method_styles(methods: Sequence[str], loud: bool = False) -> dict[str, dict[str, Any]]:
    """Keywords for `Axes.plot`, by method.

    loud: where baselines are the subject, they are in colour, too.
    """
    known = FIXED if loud else FIXED | _cycled(BASELINES, GREYS, LINES, MARKERS, thin=True)
    others = [name for name in dict.fromkeys(methods) if name not in known]
    # From the other end: where it covers FedAvg's line, that one shows through the gaps.
    found = known | _cycled(others, COLOURS, LINES[::-1], MARKERS[::-1])
    return {name: found[name] for name in methods}


def _cycled(
    names: Sequence[str], *looks: Sequence[Any], thin: bool = False
) -> dict[str, dict[str, Any]]:
    return {
        name: _style(*(own[place % len(own)] for own in looks), thin)
        for place, name in enumerate(names)
    }
