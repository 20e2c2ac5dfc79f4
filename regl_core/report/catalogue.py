"""What lies in figures/<profile>: the artefacts, in the paper's order, and their files."""

import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import ReglError

# As the paper first shows them. Figure 2 is drawn by hand, regl_core/paper/fig2.svg.
ORDER = (
    *("fig1", "table1", "fig2", "fig3", "table2", "table3", "fig4", "table4"),
    *("fig5", "fig6", "table5", "table6", "table7", "fig7", "fig8"),
)
DRAWN = "fig2"
ENDINGS = ("csv", "md", "tex", "png", "pdf")  # of what a notebook makes
PAGE = ("index.html", "README.md", "claims.csv", "notebooks")


def artefacts(known: Iterable[str]) -> list[str]:
    """Those of the `known` notebooks that make a table or figure of the paper, in its order."""
    known = set(known)
    return [name for name in ORDER if name in known and name != DRAWN]


def full_name(artefact: str) -> str:
    """``table2`` is Table 2, ``fig5`` Figure 5."""
    kind, number = re.fullmatch(r"([a-z]+)(\d+)", artefact).groups()
    return f"{ {'fig': 'Figure'}.get(kind, kind.capitalize()) } {number}"


def check(folder: Path, known: Iterable[str]) -> None:
    """Make sure that every file in `folder` is made by one of the `known` notebooks.

    Raises ReglError that names those which are not. Hidden files do not count.
    """
    own = {f"{name}.{ending}" for name in known for ending in ENDINGS} | set(PAGE)
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    foreign = [name for name in found if name not in own and not name.startswith(".")]
    if foreign:
        raise ReglError(
            f"{folder}: no notebook makes {', '.join(foreign)}; expected only what the files "
            "notebooks/<name>.ipynb make: move the others away, or add the notebook"
        )
