"""Every notebook in the repository has the same form, and is stored as source alone."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from regl_core.params import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DESK = ("start_here", "explore", "fig")  # what a person opens first
PARAMETERS = """\
profile: str = "{}"  # which params/<profile>.yaml: smoke, desk or paper
changes: dict = {{}}  # single settings to alter, e.g. {{"training.rounds": 3}}"""

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, tag: str | None = None) -> list[nbformat.NotebookNode]:
    found = nbformat.read(path, as_version=4).cells
    return [cell for cell in found if tag is None or tag in cell.metadata.get("tags", [])]


def artefact(name: str) -> str:
    """What a notebook makes, as its heading calls it: table2 is Table 2, fig5 is Figure 5."""
    kind, number = re.fullmatch(r"([a-z_]+)(\d*)", name).groups()
    word = {"fig": "figure"}.get(kind, kind.replace("_", " "))
    return f"{word} {number}".strip().capitalize()


def test_there_are_notebooks():
    assert {"table2", "table3"} <= {path.stem for path in NOTEBOOKS}


@every
def test_notebook_is_valid_and_for_python(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec"}
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", cell.id) for cell in notebook.cells)


@every
def test_notebook_opens_with_the_name_of_its_artefact(path):
    first = cells(path)[0]
    assert first.cell_type == "markdown"
    assert re.match(rf"# {artefact(path.stem)}\b", first.source)


@every
def test_parameters_are_the_same_two_everywhere(path):
    (parameters,) = cells(path, "parameters")
    profile = "desk" if path.stem.startswith(DESK) else "smoke"
    assert parameters.source == PARAMETERS.format(profile)
    assert next(c for c in cells(path) if c.cell_type == "code") == parameters


@every
def test_a_table_shows_its_grid_before_anything_is_computed(path):
    tagged = cells(path, "grid")
    assert len(tagged) == 1 if path.stem.startswith("table") else len(tagged) <= 1
    if tagged:
        before = cells(path)[: cells(path).index(tagged[0]) + 1]
        assert not any("run_all(" in cell.source for cell in before)


@every
def test_only_known_metadata_is_stored(path):
    for cell in cells(path):
        assert set(cell.metadata) <= {"tags"}
        assert set(cell.metadata.get("tags", [])) <= {"parameters", "grid"}


@every
def test_nothing_computed_is_stored(path):
    for cell in cells(path):
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_code_is_clean():
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "notebooks"]
        done = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
