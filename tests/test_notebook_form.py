"""Every notebook in the repository has the same form, and is stored as source alone."""

import re

import nbformat
import pytest

from regl_core.params import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DESK = ("start_here", "explore", "fig")  # what a person opens first
PARAMETERS = """\
profile: str = "{}"  # which params/<profile>.yaml: smoke, desk or paper
changes: dict = {{}}  # single settings to alter, e.g. {{"training.rounds": 3}}"""

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def artefact(name: str) -> str:
    """What a notebook makes, as its heading calls it: table2 is Table 2, fig5 is Figure 5."""
    kind, number = re.fullmatch(r"([a-z_]+)(\d*)", name).groups()
    word = {"fig": "figure"}.get(kind, kind.replace("_", " "))
    return f"{word} {number}".strip().capitalize()


@every
def test_a_notebook_is_named_takes_two_parameters_and_shows_its_grid_first(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata == {"kernelspec": notebook.metadata.kernelspec}
    assert notebook.metadata.kernelspec.name == "python3"
    first, *others = notebook.cells
    assert first.cell_type == "markdown" and re.match(rf"# {artefact(path.stem)}\b", first.source)
    (parameters,) = tagged(notebook, "parameters")
    assert parameters.source == PARAMETERS.format("desk" if path.stem.startswith(DESK) else "smoke")
    assert next(cell for cell in others if cell.cell_type == "code") == parameters
    grids = tagged(notebook, "grid")
    assert len(grids) == 1 if path.stem.startswith("table") else len(grids) <= 1
    before = notebook.cells[: notebook.cells.index(grids[0]) if grids else 0]
    assert not any("run_all(" in cell.source for cell in before)


@every
def test_nothing_computed_is_stored(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", cell.id)
        assert set(cell.metadata) <= {"tags"}
        assert set(cell.metadata.get("tags", [])) <= {"parameters", "grid"}
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
