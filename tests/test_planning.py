"""What notebooks ask for is computed before they run, all together."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from regl_core.engine import Store
from regl_core.errors import ReglError
from regl_core.press.grids import compute, grid_of, grids

PARAMETERS = 'profile = "smoke"\nchanges = {}'
GRID = """\
from toy_stages import Draw
class Item:
    def __init__(self, seed): self.seed = seed
    def stage(self, pipeline): return Draw(self.seed, after=(Draw(100),))
grid = [Item(seed) for seed in {seeds}]"""


def write(folder, name, grid, tag="grid"):
    cells = [
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        new_code_cell(grid, metadata={"tags": [tag]} if tag else {}, id="the-grid"),
        new_code_cell("raise SystemExit('must not run')"),
    ]
    nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")


def test_everything_missing_is_computed_once_and_told(tmp_path, capsys):
    write(tmp_path, "fig5", GRID.format(seeds=[1, 2]))
    write(tmp_path, "table2", GRID.format(seeds=[2, 3]))
    write(tmp_path, "fig2", "1", tag=None)
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


def test_notebooks_without_a_grid_are_left_to_themselves(tmp_path, capsys):
    write(tmp_path, "fig2", "1", tag=None)
    compute(grids(["fig2"], "smoke", {}, tmp_path), Store(tmp_path / "store"))
    assert capsys.readouterr().out == ""


def test_a_cell_that_fails_is_named(tmp_path):
    write(tmp_path, "fig5", "grid = runs")
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
    cells = [
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        new_code_cell(before),
        new_code_cell(
            "grid = [profile, changes]\ngrid += values['seeds']", metadata={"tags": ["grid"]}
        ),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "fig5.ipynb")
    assert grid_of(tmp_path / "fig5.ipynb", "desk", {"a": 1}) == ["desk", {"a": 1}, 2, 7, 8]
