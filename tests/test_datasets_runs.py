"""The whole way with a data set out of files: every stage of every notebook, and exact keys."""

import shutil
from pathlib import Path

import pytest

from regl_core import data, datasets, runs
from regl_core.engine import Store, closure
from regl_core.errors import Halt
from regl_core.params import ROOT, Settings, load
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.press.grids import grid_of
from regl_core.stages import Source
from tools.replica import datasets as replica

NOTEBOOKS = ("table1", "table4", "fig4", "fig6", "foundation", "privacy")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return replica.cub(tmp_path_factory.mktemp("data") / "cub", classes=3, train=8, test=4)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """Notebooks that look at a data set pack it below the test's folder."""
    for reads in (Pipeline.__init__, datasets.load):
        monkeypatch.setattr(reads, "__defaults__", (tmp_path / "packed",))


def changes(root) -> dict:
    """The smoke profile with the replica in the place of the digits."""
    cub = load("paper").model_dump()["datasets"]["cub"] | {"root": str(root), "complete": False}
    cub |= {"image_side": 16, "clients": 3, "synthetic_per_class": 2}
    added = load("smoke").altered({"datasets": {"cub": cub}})
    return added.altered({"datasets": ["cub"]}).model_dump(exclude={"profile"})


def run(root, method="ReGL (FT)", kind=runs.Run):
    its = {"dataset": "cub", "partition": Dirichlet(beta=0.5, clients=3), "seed": 0}
    return kind(**its, method=method, settings=Settings(profile="smoke", **changes(root)))


def test_stages_of_every_kind_are_computed(root, tmp_path, monkeypatch):
    settings = Settings(profile="smoke", **changes(root))
    monkeypatch.setattr("regl_core.params.load", lambda *given: settings.altered(given[1]))
    asked = {}  # of every notebook one item of each kind, with and without synthetic images
    for name in NOTEBOOKS:
        for it in grid_of(ROOT / f"notebooks/{name}.ipynb", "smoke", {}):
            asked.setdefault(
                (name, type(it), str(getattr(it, "method", "")).startswith("ReGL")), it
            )
    pipeline, store = Pipeline(tmp_path / "packed"), Store(tmp_path)
    targets = [it.stage(pipeline) for it in asked.values()]
    for stage in targets:
        store.ensure(stage)
    kinds = {stage.kind for stage in closure(targets).values()}
    assert kinds >= {"Captioned", "Tuned", "LoraImages", "Trained", "Personalized", "Updated"}
    assert kinds >= {"Distance", "Judge", "Probed", "Neighbours", "AdapterAttack", "UpdateAttack"}
    assert len(list(Store(tmp_path / "packed").folders())) == 1


@pytest.mark.parametrize("method", ["FedAvg", "ReGL (FT)"])
def test_files_give_the_numbers_that_memory_gives(root, tmp_path, method, monkeypatch):
    stage = run(root, method).stage(Pipeline())
    mapped = Store(tmp_path).ensure(stage)
    found = stage.source.load()
    plain = [data.Split(split.images[:], split.labels) for split in (found.train, found.test)]
    loaded = data.Dataset(found.name, found.classes, *plain)
    monkeypatch.setattr(Source, "load", lambda self: loaded)
    held = Store(tmp_path / "other").ensure(stage)
    names = sorted(path.name for path in held.iterdir() if path.name != "entry.json")
    assert "weights.safetensors" in names
    assert all((held / name).read_bytes() == (mapped / name).read_bytes() for name in names)


def test_keys_follow_what_the_files_hold_and_not_where_they_lie(root, tmp_path):
    there = Path(shutil.copytree(root, tmp_path / "moved", copy_function=shutil.copy))
    for method in ("FedAvg", "ReGL (FT)"):
        one, other = (run(it, method).stage(Pipeline()) for it in (root, there))
        assert closure([one]).keys() == closure([other]).keys()
    file = there / "train_test_split.txt"
    file.write_text(file.read_text().replace("1 1\n", "1 0\n", 1))
    assert run(there, "ReGL (FT)").stage(Pipeline()).key != other.key


def test_a_data_set_that_changes_meanwhile_is_told(root, tmp_path):
    there = tmp_path / "changing"
    shutil.copytree(root, there)
    stage = run(there, "FedAvg").stage(Pipeline())
    shutil.copy(
        next(there.glob("images/001.*/*_0001_*")), next(there.glob("images/002.*/*_0002_*"))
    )
    with pytest.raises(Halt, match="data set cub has changed while this program ran"):
        stage.source.load()
