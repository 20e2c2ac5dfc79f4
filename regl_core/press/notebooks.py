"""Notebooks as files: their cells, and whether they take what they will be given.

Every notebook takes the same two parameters, in a cell tagged "parameters":

    profile: str = "smoke"  # which params/<profile>.yaml: smoke, desk or paper
    changes: dict = {}  # single settings to alter, e.g. {"training.rounds": 3}
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ReglError
from ..params import ROOT
from ..settings import nearest

PARAMETERS = ["changes", "profile"]


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook: whether it is code, its text, its name, what is said about it."""

    code: bool
    source: str
    name: str
    metadata: Mapping[str, Any]

    @property
    def tags(self) -> Sequence[str]:
        return self.metadata.get("tags", ())


def cells(notebook: Path) -> list[Cell]:
    """The cells of `notebook`. ReglError if it cannot be read."""
    try:  # as JSON: nbformat takes seconds to import
        return [
            Cell(it["cell_type"] == "code", "".join(it["source"]), it.get("id", ""), it["metadata"])
            for it in json.loads(notebook.read_bytes())["cells"]
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ReglError(f"{notebook}: cannot be read as a notebook: {error!r}") from None


def known(folder: Path = ROOT / "notebooks") -> list[str]:
    """The names of the notebooks in `folder`, each the name of what it makes."""
    return sorted(path.stem for path in folder.glob("*.ipynb"))


def find(names: Sequence[str], folder: Path = ROOT / "notebooks") -> list[Path]:
    """Where the notebooks `names` lie.

    Raises
    ------
    ReglError
        When there is no such notebook, it cannot be read, or it does not take exactly the two
        parameters that it will be given.
    """
    every, paths = known(folder), [folder / f"{name}.ipynb" for name in names]
    for name, path in zip(names, paths, strict=True):
        if name not in every:
            raise ReglError(
                f"notebook {name!r} is unknown{nearest(name, every)}, expected one of "
                f"{', '.join(every)}: the files {folder.name}/<name>.ipynb"
            )
        tagged = [cell.source for cell in cells(path) if "parameters" in cell.tags]
        found = [sorted(re.findall(r"^(\w+) *[:=]", text, re.MULTILINE)) for text in tagged]
        if found != [PARAMETERS]:
            raise ReglError(
                f"{path}: expected one cell tagged 'parameters' that sets profile and changes "
                f"and nothing else, found {found or 'none'}"
            )
    return paths
