"""`make status`: a line for each artefact, and nothing is decoded for it."""

import shutil

import pytest
from toy_notebooks import RUNS, write

from regl_core.datasets import FileLoader, find
from regl_core.params import load
from regl_core.plan import DryRun
from regl_core.press import freshness
from regl_core.press.freshness import data_sets, of_notebook, record
from regl_core.press.grids import grids
from regl_core.press.status import status
from tools.replica import datasets as replica


@pytest.fixture
def root(tmp_path):
    """A root in which table2 asks for a run on each data set, and fig3 for none."""
    for folder in ("notebooks", "regl_core/paper", "figures/smoke/notebooks"):
        (tmp_path / folder).mkdir(parents=True)
    for name, grid in {"table2": RUNS.format(methods=["FedAvg"]), "fig3": ""}.items():
        write(tmp_path / "notebooks", name, grid=grid)
        (tmp_path / f"figures/smoke/{name}.csv").touch()
    return tmp_path


def lines(root, changes) -> dict[str, str]:
    """Word and reasons by artefact."""
    found: dict[str, str] = {}
    for line in status("smoke", changes, root, root / "packed").split("\n"):
        word, _, told = line.partition("  ")
        why, _, names = told.strip().rpartition(": ")
        for name in names.split(", "):
            found[name] = f"{found.get(name, word.strip())} {why}".strip()
    return found


def recorded(root, changes) -> None:
    """As after `make`, the data sets decoded."""
    settings, outline = load("smoke", changes), DryRun(root / "packed")
    for name, its in settings.datasets.items():
        find(name, its, root / "packed").load()
    asked = grids(["table2", "fig3"], "smoke", changes, root / "notebooks", outline)
    data = data_sets(settings, outline)
    for name in ("table2", "fig3"):
        path, grid = root / f"notebooks/{name}.ipynb", asked.get(name)
        now = of_notebook(path, grid and grid.stages, settings, data)
        record(name, now, root / "figures/smoke")


def test_every_word_and_reason_stands_there_once(root, monkeypatch):
    recorded(root, {})
    told = status("smoke", {}, root, root / "packed")
    assert told == "fresh    fig3, table2\nmissing  claims.csv, index.html"
    # The same is told by all stages behind them.
    monkeypatch.setattr(freshness, "unchanged", lambda *_: None)
    assert status("smoke", {}, root, root / "packed") == told


def test_of_images_that_are_not_decoded_or_not_there_it_cannot_be_told(root, monkeypatch):
    photos = replica.photos(root / "photos", ["cat", "dog"], images=6)
    changes = {"datasets": [f"folder:{photos}"]}
    recorded(root, changes)
    found = lines(root, changes)
    assert found["fig3"].startswith("fresh") and found["table2"].startswith("fresh")
    shutil.rmtree(root / "packed")

    def never(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(FileLoader, "load", never)
    found = lines(root, changes)
    untold = f"cannot be told without data set folder:{photos}"
    for name in ("fig3", "table2"):
        assert found[name].startswith("unknown") and untold in found[name]
    photos.rename(root / "moved")
    found = lines(root, changes)
    for name in ("fig3", "table2"):
        assert found[name].startswith("unknown") and untold in found[name]
    (root / "figures/smoke/table2.csv").unlink()
    assert lines(root, changes)["table2"] == "missing"


def test_other_labels_make_a_figure_without_grid_stale(root):
    photos = replica.photos(root / "photos", ["cat", "dog"], images=6)
    changes = {"datasets": [f"folder:{photos}"]}
    recorded(root, changes)
    moved = next((photos / "cat").iterdir())
    moved.rename(photos / "dog" / f"other-{moved.name}")
    find(
        f"folder:{photos}", load("smoke", changes).datasets[f"folder:{photos}"], root / "packed"
    ).load()
    found = lines(root, changes)
    assert found["fig3"] == f"stale changed: data set folder:{photos}"
    assert found["table2"] == "stale changed: the data or model files"
