"""claims.csv and index.html: of what they were put together, and whether that is still so."""

import pandas as pd
import pytest
from matplotlib.figure import Figure
from test_reporting import write
from toy_results import PAPERLIKE

from regl_core.params import load
from regl_core.press import assembly
from regl_core.press.freshness import State
from regl_core.press.making import build
from regl_core.report import save_figure, table

SMOKE = load("smoke")


@pytest.fixture
def root(tmp_path):
    """A root with Table 2 and Figure 1, put together."""
    for folder in ("notebooks", "regl_core/paper", "figures/smoke/notebooks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "regl_core/paper/fig2.svg").write_text("<svg><g/></svg>")
    folder = tmp_path / "figures/smoke"
    write(tmp_path, "table2", "Table 2: a")
    write(tmp_path, "fig1", "Figure 1: b")
    table(2, PAPERLIKE, SMOKE, {}).write(SMOKE, folder)
    save_figure(Figure(figsize=(0.01, 0.01)), "fig1", SMOKE, folder)
    build(folder, SMOKE, {}, tmp_path)
    return tmp_path


def said(root, settings=SMOKE, **words):
    """Word and reason for claims.csv and index.html; words: of artefacts that are not fresh."""
    behind = [State(name, words.get(name, "fresh"), "") for name in ("table2", "fig1")]
    found = assembly.states(root / "figures/smoke", settings, root, behind)
    assert [it.artefact for it in found] == ["claims.csv", "index.html"]
    return [(it.word, it.why) for it in found]


FRESH = ("fresh", "")


def test_what_was_just_put_together_is_fresh(root):
    assert said(root) == [FRESH, FRESH]


def test_what_is_not_there_is_missing_and_what_is_not_recorded_stale(root):
    folder = root / "figures/smoke"
    (folder / "claims.csv").unlink()
    (folder / "notebooks/index.json").unlink()
    assert said(root) == [("missing", ""), ("stale", "it is not recorded what it was made from")]


def test_a_table_made_anew_makes_both_stale(root):
    folder = root / "figures/smoke"
    runs = pd.read_csv(folder / "table2.csv").assign(accuracy_pct=50.0)
    runs.to_csv(folder / "table2.csv")
    stale = ("stale", "table2.csv was altered")
    assert said(root) == [stale, stale]
    build(folder, SMOKE, {}, root)
    assert said(root) == [FRESH, FRESH]
    (folder / "fig1.png").unlink()
    assert said(root) == [FRESH, ("stale", "fig1.png is missing")]


def test_a_page_that_can_now_be_linked_and_another_heading_count(root):
    (root / "figures/smoke/notebooks/fig1.html").touch()
    assert said(root) == [FRESH, ("stale", "notebooks/fig1.html was added")]
    build(root / "figures/smoke", SMOKE, {}, root)
    write(root, "fig1", "Figure 1: c")
    assert said(root) == [FRESH, ("stale", "text of fig1 was altered")]


@pytest.mark.parametrize("file", ["claims.csv", "index.html"])
def test_files_that_were_altered_are_named(root, file):
    path = root / "figures/smoke" / file
    path.write_text(path.read_text().replace("holds", "fails", 1))
    assert ("stale", f"{file} was altered") in said(root) and FRESH in said(root)


def test_the_papers_numbers_settings_and_code_count(root, monkeypatch):
    (root / "published_tables.csv").write_text("edited")
    with monkeypatch.context() as patch:
        patch.setattr(assembly, "PUBLISHED", root / "published_tables.csv")
        assert said(root) == [("stale", "published_tables.csv was altered")] * 2
    assert all("other settings" in why for _, why in said(root, load("smoke", {"seeds": [7]})))
    code = assembly.code_digest
    with monkeypatch.context() as patch:
        patch.setattr(
            assembly,
            "code_digest",
            lambda *it: "x" if ("regl_core.report.page", "render") in it else code(*it),
        )
        assert said(root) == [FRESH, ("stale", "the code that puts it together was edited")]


def test_what_is_made_of_something_stale_is_stale(root):
    stale = ("stale", "made of what is stale: table2")
    assert said(root, table2="stale") == [stale, stale]
    assert said(root, fig1="stale") == [FRESH, ("stale", "made of what is stale: fig1")]
    unknown = ("unknown", "made of what cannot be told: table2")
    assert said(root, table2="unknown") == [unknown, unknown]
