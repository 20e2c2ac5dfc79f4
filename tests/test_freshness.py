"""What is fresh, what is stale and why, and what is missing."""

import time
from dataclasses import replace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from toy_stages import Draw

from regl_core.engine import code_digest
from regl_core.engine.stage import Stage
from regl_core.params import load
from regl_core.partition import Dirichlet
from regl_core.plan.dry_run import ABSENT, Outline
from regl_core.press import freshness
from regl_core.runs import Run

SETTINGS = load("smoke")
DRAWS = "from regl_core.report.formats import markdown"


@pytest.fixture
def root(tmp_path):
    """A root with one notebook, fig5, whose files are there; figures/smoke within."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "figures/smoke/notebooks").mkdir(parents=True)
    (tmp_path / "figures/smoke/fig5.csv").write_text("a,b\n")
    (tmp_path / "figures/smoke/fig5.png").write_bytes(b"picture")
    (tmp_path / "figures/smoke/notebooks/fig5.html").write_text("<p>page</p>")
    executed(tmp_path, "grid = []", "text")
    write(tmp_path, "grid = []")
    return tmp_path


def write(root, *sources):
    cells = [new_code_cell(source) for source in (DRAWS, *sources)]
    nbformat.write(new_notebook(cells=cells), root / "notebooks/fig5.ipynb")


def executed(root, source, said):
    """Write the executed copy, with times of its own."""
    times = {"execution": {"iopub.execute_input": str(time.time())}}
    outputs = [nbformat.v4.new_output("stream", text=said)]
    cell = new_code_cell(source, outputs=outputs, metadata=times, id="a")
    nbformat.write(new_notebook(cells=[cell]), root / "figures/smoke/notebooks/fig5.ipynb")


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
    source = (
        "import json\nfrom regl_core.report import artefact\nfrom regl_core.params import load\n"
    )
    names = ("regl_core.report.artefact", "*"), ("regl_core.params", "load")
    assert code_digest(program=source) == code_digest(*names) != code_digest(*names[1:])


def test_the_executed_copy_and_its_page_count(made):
    folder = made / "figures/smoke/notebooks"
    executed(made, "grid = []", "text")
    assert said(made, now(made, Draw(1))) == ("fresh", "")
    executed(made, "grid = []", "another text")
    assert said(made, now(made, Draw(1))) == ("stale", "notebooks/fig5.ipynb was altered")
    (folder / "fig5.ipynb").write_text("[")
    assert said(made, now(made, Draw(1))) == ("stale", "notebooks/fig5.ipynb was altered")
    (folder / "fig5.ipynb").unlink()
    note = "its executed copy notebooks/fig5.ipynb is missing"
    assert said(made, now(made, Draw(1))) == ("fresh", note)
    (folder / "fig5.html").write_text("<p>other</p>")
    assert said(made, now(made, Draw(1))) == ("stale", f"notebooks/fig5.html was altered; {note}")
    (folder / "fig5.html").unlink()
    assert said(made, now(made, Draw(1))) == ("stale", f"notebooks/fig5.html is missing; {note}")


def test_the_papers_numbers_count_for_tables_alone(made, monkeypatch):
    folder, notebooks = made / "figures/smoke", made / "notebooks"
    (notebooks / "fig5.ipynb").rename(notebooks / "table2.ipynb")
    write(made, "grid = []")
    (folder / "table2.csv").write_text("a,b\n")
    asked = {"fig5": [Draw(1)], "table2": [Draw(1)]}

    def makings():
        return freshness.makings(asked, asked, SETTINGS, notebooks)

    freshness.record("table2", makings(), folder)
    edited = made / "published_tables.csv"
    edited.write_bytes(freshness.PUBLISHED.read_bytes().replace(b"29.0", b"29.1", 1))
    monkeypatch.setattr(freshness, "PUBLISHED", edited)
    fig5, table2 = freshness.states(makings(), folder)
    assert (fig5.word, table2.word) == ("fresh", "stale")
    assert table2.why.startswith("published_tables.csv was edited")


def of_data(root, data, **asked):
    return freshness.makings(["fig5"], asked, SETTINGS, root / "notebooks", data)


def test_data_sets_count_for_a_notebook_without_grid(root):
    folder, before = root / "figures/smoke", {"digits": "1", "cub": ABSENT}
    freshness.record("fig5", of_data(root, before | {"eurosat": "1"}), folder)
    # What was not at hand then was not used.
    assert said(root, of_data(root, {"digits": "1", "eurosat": "1", "cars": "1"})) == ("fresh", "")
    assert said(root, of_data(root, {"digits": "2"})) == (
        "stale",
        "the data set digits has changed",
    )
    untold = of_data(root, {"digits": "1", "eurosat": f"{ABSENT}: x"})
    assert said(root, untold) == ("unknown", "cannot be told without data set eurosat")
    untold = of_data(root, {"digits": "2", "eurosat": f"{ABSENT}: x"})
    assert said(root, untold)[0] == "stale"


def test_data_sets_do_not_count_twice_for_a_notebook_with_grid(root):
    freshness.record("fig5", of_data(root, {"digits": "1"}, fig5=[Draw(1)]), root / "figures/smoke")
    assert said(root, of_data(root, {"digits": "2"}, fig5=[Draw(1)])) == ("fresh", "")


def test_the_digests_of_data_sets_are_those_of_the_stages():
    found = freshness.data_sets(SETTINGS, Outline())
    assert found == {"digits": Outline().source("digits", SETTINGS)[0].digest}
    lost = load("smoke", {"datasets": ["folder:/nowhere"]})
    assert freshness.data_sets(lost, Outline()) == {"folder:/nowhere": ABSENT}


def test_of_what_is_not_at_hand_it_cannot_be_told(root):
    """Until then, the same artefact was made from the models and the data set there were."""
    changes = {"datasets": ["eurosat"], "seeds": [0]}
    settings = load("paper", changes | {"foundation.name": "owner/none"})
    partition = Dirichlet(beta=0.1, clients=3)
    run = Run(dataset="eurosat", partition=partition, method="ReGL (TF)", seed=0, settings=settings)
    stage = run.stage(Outline())
    before = now(root, stage, settings=settings)["fig5"]
    assert list(before.lacking) == ["data set eurosat", "the models"]
    then = replace(before, results="of what was there", lacking=())
    freshness.record("fig5", {"fig5": then}, root / "figures/smoke")
    told = "cannot be told without data set eurosat, the models"
    assert said(root, {"fig5": before}) == ("unknown", told)
    edited = replace(before, notebook="other")
    assert said(root, {"fig5": edited}) == ("stale", "the notebook was edited")
