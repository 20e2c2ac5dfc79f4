"""Every notebook in the repository has the same form, and is stored as source alone."""

import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from regl_core.params import ROOT
from tools.source_only import source_only

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DESK = ("start_here", "extend", "explore", "fig", "table")  # what a person opens first
PARAMETERS = """\
profile: str = "{}"  # which params/<profile>.yaml: smoke, desk or paper
changes: dict = {{}}  # single settings to alter, e.g. {{"training.rounds": 3}}"""

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def stored(path: Path) -> str:
    """As git has it: the file may hold what JupyterLab has computed since."""
    show = ["git", "show", f":notebooks/{path.name}"]
    done = subprocess.run(show, cwd=ROOT, capture_output=True, encoding="utf-8")
    return path.read_text(encoding="utf-8") if done.returncode else done.stdout


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def artefact(name: str) -> str:
    """What a notebook makes, as its heading calls it: table2 is Table 2, fig5 is Figure 5."""
    kind, number = re.fullmatch(r"([a-z_]+)(\d*)", name).groups()
    word = {"fig": "figure"}.get(kind, kind.replace("_", " "))
    return f"{word} {number}".strip().capitalize()


@every
def test_a_notebook_is_named_takes_two_parameters_and_shows_its_grid_first(path):
    notebook = nbformat.reads(stored(path), as_version=4)
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
    for cell in nbformat.reads(stored(path), as_version=4).cells:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", cell.id)
        assert set(cell.metadata) <= {"tags"}
        assert set(cell.metadata.get("tags", [])) <= {"parameters", "grid"}
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


@every
def test_saved_by_jupyterlab_it_is_what_it_was(path, tmp_path):
    before = stored(path)
    notebook = nbformat.reads(before, as_version=4)
    notebook.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    notebook.metadata.kernelspec["display_name"] = "Python 3 (ipykernel)"
    for number, cell in enumerate(notebook.cells):
        cell.metadata["editable"] = True
        if cell.cell_type == "code":
            cell.execution_count = number
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="β = 0.5\n")]
    saved = tmp_path / path.name
    nbformat.write(notebook, saved)
    assert source_only(saved.read_text(encoding="utf-8")) == before


def test_git_sees_no_change_in_a_saved_notebook(tmp_path):
    def git(*arguments):
        command = ["git", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout

    (tmp_path / "tools").mkdir()
    for name in (".gitattributes", "tools/source_only.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    path = tmp_path / "one.ipynb"
    path.write_text(source_only(stored(NOTEBOOKS[0])), encoding="utf-8")
    git("init", "-q")
    configure = re.search(r"git (config filter\S+) '(.*)'", (ROOT / "Makefile").read_text())
    git(*configure[1].split(), configure[2])
    git("add", "-A")
    saved = nbformat.read(path, as_version=4)
    saved.cells[-1].metadata["trusted"] = True
    nbformat.write(saved, path)
    assert git("diff", "--name-only") == ""
    saved.cells[0].source += " Changed."
    nbformat.write(saved, path)
    assert git("diff", "--name-only") == "one.ipynb\n"
