"""What notebooks ask for is computed before they run, all together."""

import pytest
from toy_notebooks import TOYS, write

from regl_core.engine import Store
from regl_core.errors import ReglError
from regl_core.press.grids import compute, grid_of, grids

OTHERS = "raise SystemExit('must not run')"


def test_everything_missing_is_computed_once_and_told(tmp_path, capsys):
    both = "[Draw({}, (Draw(100),)), Draw({}, (Draw(100),))]"
    write(tmp_path, "fig5", OTHERS, grid=TOYS.format(stages=both.format(1, 2)))
    write(tmp_path, "table2", OTHERS, grid=TOYS.format(stages=both.format(2, 3)))
    write(tmp_path, "fig2", OTHERS)
    store = Store(tmp_path / "store")
    names = ["fig5", "fig2", "table2"]
    compute(grids(names, "smoke", {}, tmp_path), store, workers=1)
    asked = "4 runs asked for by 2 notebooks, 3 different; 4 stages behind them"
    out, err = capsys.readouterr()
    assert out == f"{asked}, 4 to compute\n"
    assert "4/4" in err and err.count("100%") == 1
    assert len(list(store.folders())) == 4
    compute(grids(names, "smoke", {}, tmp_path), store, workers=1)
    assert capsys.readouterr() == (f"{asked}, all of them there\n", "")


def test_a_cell_that_fails_is_named(tmp_path):
    write(tmp_path, "fig5", grid="grid = runs")
    with pytest.raises(ReglError, match=r"fig5\.ipynb: cell 'the-grid' failed: NameError: .*runs"):
        grid_of(tmp_path / "fig5.ipynb", "smoke", {})


def test_of_the_cells_before_a_grid_only_that_runs_which_it_is_made_of(tmp_path):
    before = """\
import this_is_not_needed
from os.path import basename as last
values = {}
values["seeds"] = [len(last("a/bc"))]
for seed in (7, 8):
    values["seeds"].append(seed)
raise SystemExit
"""
    write(tmp_path, "fig5", grid=f"{before}\ngrid = [profile, changes] + values['seeds']")
    assert grid_of(tmp_path / "fig5.ipynb", "desk", {"a": 1}) == ["desk", {"a": 1}, 2, 7, 8]
