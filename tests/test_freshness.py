"""What is fresh, what is stale and why, and what is missing."""

from dataclasses import replace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from toy_stages import Draw

from regl_core import digest, freshness
from regl_core.params import load
from regl_core.stage import Stage

SETTINGS = load("smoke")
DRAWS = "from regl_core.formats import markdown"


@pytest.fixture
def root(tmp_path):
    """A root with one notebook, fig5, whose files are there; figures/smoke within."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "figures/smoke").mkdir(parents=True)
    (tmp_path / "figures/smoke/fig5.csv").write_text("a,b\n")
    (tmp_path / "figures/smoke/fig5.png").write_bytes(b"picture")
    write(tmp_path, "grid = []")
    return tmp_path


def write(root, *sources):
    cells = [new_code_cell(source) for source in (DRAWS, *sources)]
    nbformat.write(new_notebook(cells=cells), root / "notebooks/fig5.ipynb")


def now(root, *targets: Stage, settings=SETTINGS):
    return freshness.makings(["fig5"], {"fig5": list(targets)}, settings, root / "notebooks")


def said(root, makings) -> tuple[str, str]:
    (state,) = freshness.states(makings, root / "figures/smoke")
    assert state.artefact == "fig5"
    return state.word, state.why


@pytest.fixture
def made(root):
    """The root, after fig5 was made from Draw(1)."""
    freshness.record("fig5", now(root, Draw(1)), root / "figures/smoke")
    return root


def test_what_was_just_made_is_fresh(made):
    assert said(made, now(made, Draw(1))) == ("fresh", "")


def test_without_files_it_is_missing_and_without_a_record_stale(root):
    assert said(root, now(root)) == ("stale", "it is not recorded what it was made from")
    (root / "figures/smoke/notebooks").mkdir()
    (root / "figures/smoke/notebooks/fig5.json").write_text("{")
    assert said(root, now(root))[0] == "stale"
    for file in root.glob("figures/smoke/fig5.*"):
        file.unlink()
    assert said(root, now(root)) == ("missing", "")


def test_files_that_are_not_as_made_are_named(made):
    folder = made / "figures/smoke"
    (folder / "fig5.csv").write_text("a,c\n")
    (folder / "fig5.png").unlink()
    (folder / "fig5.md").touch()
    why = "fig5.png is missing; fig5.md was added; fig5.csv was altered"
    assert said(made, now(made, Draw(1))) == ("stale", why)


def test_settings_and_the_notebook_count(made):
    other = load("smoke", {"training.rounds": 3})
    assert "other settings" in said(made, now(made, Draw(1), settings=other))[1]
    write(made, "grid = [1]")
    assert said(made, now(made, Draw(1))) == ("stale", "the notebook was edited")


def test_a_text_cell_and_outputs_do_not_count(made):
    path = made / "notebooks/fig5.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("More words."))
    notebook.cells[-1].execution_count = 3
    nbformat.write(notebook, path)
    assert said(made, now(made, Draw(1))) == ("fresh", "")


def test_other_results_of_the_same_code_come_of_other_data(made):
    assert said(made, now(made, Draw(2)))[1] == "the data or model files have changed"


def test_libraries_and_edited_code_are_named(made):
    made_now = now(made, Draw(1))["fig5"]
    newer = replace(made_now, libraries=made_now.libraries.replace(", torch ", ", torch 9"))
    why = said(made, {"fig5": newer})[1]
    assert why.startswith("other libraries (torch ") and "," not in why and "torch 9" not in why
    edited = replace(made_now, stages={"Draw": "other"}, results="other", code="other")
    assert said(made, {"fig5": edited})[1] == "the code of Draw was edited"
    drawn = replace(made_now, code="other")
    assert said(made, {"fig5": drawn})[1] == "the code that arranges and draws it was edited"


def test_the_code_a_notebook_imports_is_found():
    source = "import json\nfrom regl_core import artefact\nfrom regl_core.params import load\n"
    assert digest.imported(source) == (("regl_core.artefact", "*"), ("regl_core.params", "load"))
