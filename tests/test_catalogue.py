"""What lies in figures/<profile>, and in which order."""

import pytest

from regl_core.errors import ReglError
from regl_core.report import ORDER, artefacts, check
from regl_core.report.catalogue import full_name


def test_artefacts_stand_in_the_papers_order():
    known = ["choice", "fig1", "fig2", "fig4", "methods", "table1", "table2", "table10"]
    assert artefacts(known) == ["fig1", "table1", "table2", "fig4"]
    assert len(ORDER) == len(set(ORDER)) == 15
    assert [full_name(name) for name in ("fig5", "table2")] == ["Figure 5", "Table 2"]


def test_a_file_that_no_notebook_makes_is_an_error(tmp_path):
    check(tmp_path / "not made yet", ["table2"])
    for name in ("table2.csv", "table2.tex", "choice.csv", "index.html", "claims.csv", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "notebooks").mkdir()
    check(tmp_path, ["table2", "choice"])
    for foreign in ("table3.csv", "table2.xlsx", "old.png"):
        (tmp_path / foreign).touch()
        with pytest.raises(ReglError, match=f"no notebook makes {foreign}; expected"):
            check(tmp_path, ["table2", "choice"])
        (tmp_path / foreign).unlink()
