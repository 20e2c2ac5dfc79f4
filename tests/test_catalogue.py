"""What lies in figures/<profile>, in which order, and what made it."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from regl_core.errors import ReglError
from regl_core.params import load
from regl_core.report import catalogue
from regl_core.report.provenance import others, save_figure, trace, write_csv

SMOKE = load("smoke")


def test_artefacts_stand_in_the_papers_order():
    known = ["choice", "fig1", "fig2", "fig4", "methods", "table1", "table2", "table10"]
    assert catalogue.artefacts(known) == ["fig1", "table1", "table2", "fig4"]
    assert len(catalogue.ORDER) == len(set(catalogue.ORDER)) == 15
    assert [catalogue.full_name(name) for name in ("fig5", "table2")] == ["Figure 5", "Table 2"]


def test_a_file_that_no_notebook_makes_is_an_error(tmp_path):
    catalogue.check(tmp_path / "not made yet", ["table2"])
    for name in ("table2.csv", "table2.tex", "choice.csv", "index.html", "claims.csv", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "notebooks").mkdir()
    catalogue.check(tmp_path, ["table2", "choice"])
    for foreign in ("table3.csv", "table2.xlsx", "old.png"):
        (tmp_path / foreign).touch()
        with pytest.raises(ReglError, match=f"no notebook makes {foreign}; expected"):
            catalogue.check(tmp_path, ["table2", "choice"])
        (tmp_path / foreign).unlink()


def test_files_say_what_made_them_and_the_odd_one_is_named(tmp_path):
    frame, changed = pd.DataFrame({"a": [1]}), load("smoke", {"seeds": [7]})
    write_csv(frame, "table2", SMOKE, tmp_path)
    save_figure(Figure(), "fig1", SMOKE, tmp_path)
    save_figure(Figure(), "fig5", changed, tmp_path)
    frame.to_csv(tmp_path / "table3.csv")
    names = ("table2.csv", "fig1.png", "fig5.png", "table3.csv")
    made = trace("table2", SMOKE)
    usual, odd = others([tmp_path / name for name in names])
    assert usual == (made.commit, made.settings, made.libraries)
    assert odd == {
        "fig5.png": f"settings {trace('fig5', changed).settings}",
        "table3.csv": "does not say what made it",
    }


def test_nothing_known_is_told_of_every_file(tmp_path):
    (tmp_path / "table2.csv").write_text("a\n1\n")
    (tmp_path / "table3.csv").write_text("")
    usual, odd = others([tmp_path / "table2.csv", tmp_path / "table3.csv"])
    assert usual == () and list(odd) == ["table2.csv", "table3.csv"]
