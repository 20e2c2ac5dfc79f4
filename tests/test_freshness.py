"""What is fresh, stale and why, or missing: artefacts, and what is put together from them."""

import time
from dataclasses import replace

import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_notebook
from test_page import write as write_notebook
from toy_results import PAPERLIKE
from toy_stages import Draw

from regl_core.params import load
from regl_core.partition import Dirichlet
from regl_core.plan import ABSENT, DryRun
from regl_core.press import freshness
from regl_core.press.freshness import State
from regl_core.press.making import build
from regl_core.report import save_figure, table
from regl_core.runs import Run

SMOKE = load("smoke")
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


def now(root, *targets, settings=SMOKE, name="fig5"):
    return freshness.of_notebook(root / f"notebooks/{name}.ipynb", targets, settings)


def said(root, making, name="fig5") -> tuple[str, str]:
    state = freshness.state(name, making, root / "figures/smoke")
    assert state.artefact == name
    return state.word, "; ".join(state.why)


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


def test_settings_libraries_code_and_data_are_told_apart(made):
    other = load("smoke", {"training.rounds": 3})
    assert "other settings" in said(made, now(made, Draw(1), settings=other))[1]
    assert said(made, now(made, Draw(2)))[1] == "the data or model files have changed"
    today = now(made, Draw(1))
    newer = replace(today, libraries=today.libraries.replace(", torch ", ", torch 9"))
    why = said(made, newer)[1]
    assert why.startswith("other libraries (torch ") and "," not in why and "torch 9" not in why
    drawn = replace(today, code=today.code | {freshness.DRAWS: "other"})
    assert said(made, drawn)[1] == "the code that arranges and draws it was edited"
    edited = replace(drawn, code=drawn.code | {"the code of Draw": "other"}, results="other")
    assert said(made, edited)[1] == "the code of Draw was edited"
    write(made, "grid = [1]")
    assert said(made, now(made, Draw(1))) == ("stale", "the notebook was edited")


def test_a_text_cell_and_outputs_do_not_count(made):
    path = made / "notebooks/fig5.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("More words."))
    notebook.cells[-1].execution_count = 3
    nbformat.write(notebook, path)
    assert said(made, now(made, Draw(1))) == ("fresh", "")


def test_the_executed_copy_and_its_page_count(made):
    folder = made / "figures/smoke/notebooks"
    executed(made, "grid = []", "text")
    assert said(made, now(made, Draw(1))) == ("fresh", "")
    executed(made, "grid = []", "another text")
    assert said(made, now(made, Draw(1))) == ("stale", "notebooks/fig5.ipynb was altered")
    (folder / "fig5.ipynb").write_text("[")
    assert said(made, now(made, Draw(1))) == ("stale", "notebooks/fig5.ipynb was altered")
    (folder / "fig5.ipynb").unlink()
    note = "its executed copy is missing"
    assert said(made, now(made, Draw(1))) == ("fresh", note)
    (folder / "fig5.html").unlink()
    assert said(made, now(made, Draw(1))) == ("stale", f"notebooks/fig5.html is missing; {note}")


def test_the_papers_numbers_count_for_tables_alone(made, monkeypatch):
    folder, notebooks = made / "figures/smoke", made / "notebooks"
    (notebooks / "fig5.ipynb").rename(notebooks / "table2.ipynb")
    write(made, "grid = []")
    (folder / "table2.csv").write_text("a,b\n")
    freshness.record("table2", now(made, Draw(1), name="table2"), folder)
    edited = made / "published_tables.csv"
    edited.write_bytes(freshness.PUBLISHED.read_bytes().replace(b"29.0", b"29.1", 1))
    monkeypatch.setattr(freshness, "PUBLISHED", edited)
    assert said(made, now(made, Draw(1)))[0] == "fresh"
    word, why = said(made, now(made, Draw(1), name="table2"), "table2")
    assert word == "stale" and why.startswith("published_tables.csv was altered")


def test_data_sets_count_for_a_notebook_without_grid_alone(root):
    notebook, folder = root / "notebooks/fig5.ipynb", root / "figures/smoke"

    def of(data, targets=None):
        return freshness.of_notebook(notebook, targets, SMOKE, data)

    freshness.record("fig5", of({"digits": "1", "cub": ABSENT, "eurosat": "1"}), folder)
    # What was not at hand then was not used.
    assert said(root, of({"digits": "1", "eurosat": "1", "cub": "1"})) == ("fresh", "")
    assert said(root, of({"digits": "2"})) == ("stale", "the data set digits has changed")
    untold = {"eurosat": f"{ABSENT}: x"}
    told = "cannot be told without data set eurosat"
    assert said(root, of({"digits": "1"} | untold)) == ("unknown", told)
    assert said(root, of({"digits": "2"} | untold))[0] == "stale"
    freshness.record("fig5", of({"digits": "1"}, [Draw(1)]), folder)
    assert said(root, of({"digits": "2"}, [Draw(1)])) == ("fresh", "")


def test_the_digests_of_data_sets_are_those_of_the_stages():
    found = freshness.data_sets(SMOKE, DryRun())
    assert found == {"digits": DryRun().source("digits", SMOKE)[0].digest}
    lost = load("smoke", {"datasets": ["folder:/nowhere"]})
    assert freshness.data_sets(lost, DryRun()) == {"folder:/nowhere": ABSENT}


def test_of_what_is_not_at_hand_it_cannot_be_told(root):
    """Until then, the same artefact was made from the models and the data set there were."""
    changes = {"datasets": ["eurosat"], "seeds": [0]}
    settings = load("paper", changes | {"foundation.name": "owner/none"})
    partition = Dirichlet(beta=0.1, clients=3)
    run = Run(dataset="eurosat", partition=partition, method="ReGL (TF)", seed=0, settings=settings)
    before = now(root, run.stage(DryRun()), settings=settings)
    assert list(before.lacking) == ["data set eurosat", "the models"] and not before.whole
    then = replace(before, results="of what was there", lacking=())
    freshness.record("fig5", then, root / "figures/smoke")
    told = "cannot be told without data set eurosat; cannot be told without the models"
    assert said(root, before) == ("unknown", told)
    edited = replace(before, code=before.code | {freshness.NOTEBOOK: "other"})
    assert said(root, edited) == ("stale", "the notebook was edited")


def test_where_every_byte_is_as_it_was_no_stage_is_asked(made, monkeypatch):
    notebook, folder = made / "notebooks/fig5.ipynb", made / "figures/smoke"
    assert freshness.unchanged(notebook, SMOKE, folder) == now(made, Draw(1))
    assert freshness.unchanged(notebook, load("smoke", {"seeds": [7]}), folder) is None
    for elsewhere in ({"foundation.name": "owner/none"}, {"training.device": "auto"}):
        assert not freshness.whole(load("smoke", elsewhere), "")
    with monkeypatch.context() as patch:
        patch.setattr(freshness, "_package", lambda: "edited")
        assert freshness.unchanged(notebook, SMOKE, folder) is None
    write(made, "grid = [1]")
    assert freshness.unchanged(notebook, SMOKE, folder) is None


# What is put together from the files of artefacts.

FRESH = ("fresh", "")


@pytest.fixture
def summed(tmp_path):
    """A root with Table 2 and Figure 1, put together."""
    for folder in ("notebooks", "regl_core/paper", "figures/smoke/notebooks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "regl_core/paper/fig2.svg").write_text("<svg><g/></svg>")
    folder = tmp_path / "figures/smoke"
    write_notebook(tmp_path, "table2", "Table 2: a")
    write_notebook(tmp_path, "fig1", "Figure 1: b")
    table(2, PAPERLIKE, SMOKE, {}).write(SMOKE, folder)
    save_figure(Figure(figsize=(0.01, 0.01)), "fig1", SMOKE, folder)
    build(folder, SMOKE, {}, tmp_path)
    return tmp_path


def summaries(root, settings=SMOKE, **words):
    """Word and reason for claims.csv and index.html; words: of artefacts that are not fresh."""
    behind = [State(name, words.get(name, "fresh")) for name in ("table2", "fig1")]
    found = freshness.summary_states(root / "figures/smoke", settings, root, behind)
    assert [it.artefact for it in found] == ["claims.csv", "index.html"]
    return [(it.word, "; ".join(it.why)) for it in found]


def test_a_summary_is_fresh_missing_or_not_recorded(summed):
    assert summaries(summed) == [FRESH, FRESH]
    folder = summed / "figures/smoke"
    (folder / "claims.csv").unlink()
    (folder / "notebooks/index.json").unlink()
    unrecorded = ("stale", "it is not recorded what it was made from")
    assert summaries(summed) == [("missing", ""), unrecorded]


def test_what_a_summary_reads_and_links_counts(summed):
    folder = summed / "figures/smoke"
    runs = pd.read_csv(folder / "table2.csv").assign(accuracy_pct=50.0)
    runs.to_csv(folder / "table2.csv")
    assert summaries(summed) == [("stale", "table2.csv was altered")] * 2
    build(folder, SMOKE, {}, summed)
    assert summaries(summed) == [FRESH, FRESH]
    (folder / "fig1.png").unlink()
    (folder / "notebooks/fig1.html").touch()
    write_notebook(summed, "fig1", "Figure 1: c")
    why = "fig1.png is missing; notebooks/fig1.html was added; text of fig1 was altered"
    assert summaries(summed) == [FRESH, ("stale", why)]


@pytest.mark.parametrize("file", ["claims.csv", "index.html"])
def test_a_summary_that_was_altered_is_named(summed, file):
    path = summed / "figures/smoke" / file
    path.write_text(path.read_text().replace("holds", "fails", 1))
    assert ("stale", f"{file} was altered") in summaries(summed) and FRESH in summaries(summed)


def test_the_papers_numbers_settings_and_code_of_summaries_count(summed, monkeypatch):
    (summed / "published_tables.csv").write_text("edited")
    with monkeypatch.context() as patch:
        patch.setattr(freshness, "PUBLISHED", summed / "published_tables.csv")
        assert summaries(summed) == [("stale", "published_tables.csv was altered")] * 2
    assert all(
        "other settings" in why for _, why in summaries(summed, load("smoke", {"seeds": [7]}))
    )
    code, page = freshness.code_digest, ("regl_core.report.page", "render")
    with monkeypatch.context() as patch:
        patch.setattr(freshness, "_package", lambda: "edited")
        assert summaries(summed) == [FRESH, FRESH]  # not in what it is put together with
        patch.setattr(freshness, "code_digest", lambda *it: "x" if page in it else code(*it))
        edited = ("stale", "the code that puts it together was edited")
        assert summaries(summed) == [FRESH, edited]


def test_what_is_made_of_something_stale_is_stale(summed):
    stale = ("stale", "made of what is stale: table2")
    assert summaries(summed, table2="stale") == [stale, stale]
    assert summaries(summed, fig1="stale") == [FRESH, ("stale", "made of what is stale: fig1")]
    unknown = ("unknown", "made of what cannot be told: table2")
    assert summaries(summed, table2="unknown") == [unknown, unknown]
