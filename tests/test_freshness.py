"""What is fresh, stale and why, or missing: artefacts, and what is put together from them."""

from dataclasses import replace

import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure
from test_page import write as write_notebook
from toy_notebooks import write
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
    write(tmp_path / "notebooks", "fig5", DRAWS, "grid = []")
    return tmp_path


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


def parts(making, **others):
    return replace(making, parts=making.parts | others)


def test_settings_libraries_code_and_data_are_told_apart(made):
    other = load("smoke", {"training.rounds": 3})
    assert said(made, now(made, Draw(1), settings=other)) == ("stale", "changed: the settings")
    assert said(made, now(made, Draw(2)))[1] == "changed: the data or model files"
    today = now(made, Draw(1))
    newer = parts(today, **{"library torch": "torch 9"})
    assert said(made, newer)[1] == "changed: library torch"
    edited = parts(today, **{freshness.DRAWS: "other", "the code of Draw": "other"})
    why = f"changed: the code of Draw, {freshness.DRAWS}"
    assert said(made, edited)[1] == said(made, parts(edited, **{freshness.RESULTS: "x"}))[1] == why
    write(made / "notebooks", "fig5", DRAWS, "grid = [1]")
    assert said(made, now(made, Draw(1))) == ("stale", "changed: the notebook")


def test_a_text_cell_and_outputs_do_not_count(made):
    path = made / "notebooks/fig5.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("More words."))
    notebook.cells[-1].execution_count = 3
    nbformat.write(notebook, path)
    assert said(made, now(made, Draw(1))) == ("fresh", "")


def test_the_papers_numbers_count_for_tables_alone(made, monkeypatch):
    folder, notebooks = made / "figures/smoke", made / "notebooks"
    (notebooks / "fig5.ipynb").rename(notebooks / "table2.ipynb")
    write(notebooks, "fig5", DRAWS, "grid = []")
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
    assert said(root, of({"digits": "2"})) == ("stale", "changed: digits")
    untold = {"eurosat": f"{ABSENT}: x"}
    told = "cannot be told without eurosat"
    assert said(root, of({"digits": "1"} | untold)) == ("unknown", told)
    assert said(root, of({"digits": "2"} | untold))[0] == "stale"
    freshness.record("fig5", of({"digits": "1"}, [Draw(1)]), folder)
    assert said(root, of({"digits": "2"}, [Draw(1)])) == ("fresh", "")


def test_the_digests_of_data_sets_are_those_of_the_stages():
    found = freshness.data_sets(SMOKE, DryRun())
    assert found == {"data set digits": DryRun().source("digits", SMOKE)[0].digest}
    lost = load("smoke", {"datasets": ["folder:/nowhere"]})
    assert freshness.data_sets(lost, DryRun()) == {"data set folder:/nowhere": ABSENT}


def test_of_what_is_not_at_hand_it_cannot_be_told(root):
    """Until then, the same artefact was made from the models and the data set there were."""
    changes = {"datasets": ["eurosat"], "seeds": [0]}
    settings = load("paper", changes | {"foundation.name": "owner/none"})
    partition = Dirichlet(beta=0.1, clients=3)
    run = Run(dataset="eurosat", partition=partition, method="ReGL (TF)", seed=0, settings=settings)
    before = now(root, run.stage(DryRun()), settings=settings)
    assert list(before.lacking) == ["data set eurosat", "the models"]
    then = replace(parts(before, **{freshness.RESULTS: "of what was there"}), lacking=())
    freshness.record("fig5", then, root / "figures/smoke")
    told = "cannot be told without data set eurosat; cannot be told without the models"
    assert said(root, before) == ("unknown", told)
    edited = parts(before, **{freshness.NOTEBOOK: "other"})
    assert said(root, edited) == ("stale", "changed: the notebook")


def test_where_every_byte_is_as_it_was_no_stage_is_asked(made, monkeypatch):
    notebook, folder = made / "notebooks/fig5.ipynb", made / "figures/smoke"
    assert freshness.unchanged(notebook, SMOKE, folder) == now(made, Draw(1))
    assert freshness.unchanged(notebook, load("smoke", {"seeds": [7]}), folder) is None
    for elsewhere in ({"foundation.name": "owner/none"}, {"training.device": "auto"}):
        assert not freshness.everything(load("smoke", elsewhere), "")
    with monkeypatch.context() as patch:
        patch.setattr(freshness, "_package", lambda: "edited")
        assert freshness.unchanged(notebook, SMOKE, folder) is None
    write(made / "notebooks", "fig5", DRAWS, "grid = [1]")
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


def summary(root, settings=SMOKE, **words) -> tuple[str, str]:
    """Word and reason for claims.csv and index.html; words: of artefacts that are not fresh."""
    behind = [State(name, words.get(name, "fresh")) for name in ("table2", "fig1")]
    found = freshness.state_of_index(root / "figures/smoke", settings, root, behind)
    assert found.artefact == "claims.csv, index.html, README.md"
    return found.word, "; ".join(found.why)


def test_the_index_is_fresh_altered_not_recorded_or_missing(summed):
    assert summary(summed) == FRESH
    folder = summed / "figures/smoke"
    claims, page = folder / "claims.csv", folder / "index.html"
    page.write_text(page.read_text().replace("holds", "fails", 1))
    assert summary(summed) == ("stale", "index.html was altered")
    claims.unlink()
    assert summary(summed) == ("stale", "claims.csv is missing; index.html was altered")
    (folder / "notebooks/index.json").unlink()
    assert summary(summed) == ("stale", "it is not recorded what it was made from")
    page.unlink()
    (folder / "README.md").unlink()
    assert summary(summed) == ("missing", "")


def test_what_the_index_reads_counts(summed, monkeypatch):
    folder = summed / "figures/smoke"
    runs = pd.read_csv(folder / "table2.csv").assign(accuracy_pct=50.0)
    runs.to_csv(folder / "table2.csv")
    assert summary(summed) == ("stale", "table2.csv was altered")
    build(folder, SMOKE, {}, summed)
    assert summary(summed) == FRESH
    (folder / "fig1.png").unlink()
    (folder / "notebooks/fig1.html").touch()
    write_notebook(summed, "fig1", "Figure 1: c")
    why = "fig1.png is missing; fig1.html was added; fig1.ipynb was altered"
    assert summary(summed) == ("stale", why)
    build(folder, SMOKE, {}, summed)
    assert summary(summed, load("smoke", {"seeds": [7]})) == ("stale", "changed: the settings")
    (summed / "published_tables.csv").write_text("edited")
    with monkeypatch.context() as patch:
        patch.setattr(freshness, "PUBLISHED", summed / "published_tables.csv")
        assert summary(summed) == ("stale", "published_tables.csv was altered")
    code, page = freshness.code_digest, ("regl_core.report.page", "render")
    monkeypatch.setattr(freshness, "code_digest", lambda *it: "x" if page in it else code(*it))
    assert summary(summed) == ("stale", f"changed: {freshness.DRAWS}")


def test_what_is_made_of_something_stale_is_stale(summed):
    assert summary(summed, table2="stale") == ("stale", "made of what is stale: table2")
    unknown = ("unknown", "made of what cannot be told: table2, fig1")
    assert summary(summed, table2="unknown", fig1="unknown") == unknown
    both = summary(summed, table2="unknown", fig1="stale")
    assert both == ("stale", "made of what is stale: fig1")
