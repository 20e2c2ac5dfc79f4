"""Before anything runs: every single thing that is in the way, and all of them at once."""

import shutil
import subprocess
import sys
from collections import namedtuple

import pytest
import torch
from toy_heavy import Heavy, counted
from toy_notebooks import RUNS, write

from regl_core import runs
from regl_core.engine import Store
from regl_core.errors import ReglError
from regl_core.params import ROOT, load
from regl_core.plan import DryRun
from regl_core.plan.counts import Unit
from regl_core.press.grids import checked
from tools.replica.datasets import eurosat

__all__ = ["counted"]
SMOKE = load("smoke")
GB = 10**9
DRAWN = Unit("denoised", "tiny")
TRAINED = Unit("trained", "resnet34 64", 64, device="cuda")
Usage = namedtuple("Usage", "total used free")


def problems(stages, settings=SMOKE, root=ROOT, built=None) -> list[str]:
    return (built or DryRun()).problems(stages, settings, root)


def free(monkeypatch, amount):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**15, 0, amount))


def test_a_device_that_is_not_there():
    its = SMOKE.altered({"training.device": "cuda", "foundation.device": "cuda"})
    gpu = Unit("denoised", "tiny", device="cuda")
    if torch.cuda.is_available():
        assert problems([Heavy("a", TRAINED, 1.0), Heavy("b", gpu, 1.0)], its) == []
        return
    (trained,) = problems([Heavy("a", TRAINED, 1.0)], its)
    assert trained.startswith('training.device: "cuda" was asked for and no GPU')
    (drawn,) = problems([Heavy("b", gpu, 1.0)], its)
    assert drawn.startswith('foundation.device: "cuda" was asked for and no GPU')
    # What no stage asks for is not in the way.
    assert problems([Heavy("c", Unit("start"), 1.0)], its) == []


def test_a_disk_that_is_too_small(monkeypatch, tmp_path):
    free(monkeypatch, 5 * GB)
    two = [Heavy(name, DRAWN, 1.0, 3 * GB) for name in "ab"]
    assert problems(two[:1], root=tmp_path / "new" / "one") == problems([]) == []
    (said,) = problems(two, root=tmp_path / "new")
    assert said.startswith(f"disk: results need 6.0 GB more below {tmp_path / 'new'}, where 5.0 GB")
    assert "DATASETS, SEEDS, TABLES" in said
    built = DryRun()
    built.unpacked["birds"] = 3 * GB
    assert len(problems(two[:1], built=built)) == 1


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root with one notebook, whose methods are FedAvg and ReGL (TF)."""
    monkeypatch.setattr(runs, "STORE", tmp_path / ".store")
    (tmp_path / "notebooks").mkdir()
    for name, methods in {"table2": ("FedAvg", "ReGL (TF)"), "table3": ("FedAvg",)}.items():
        write(tmp_path / "notebooks", name, grid=RUNS.format(methods=methods))
    return tmp_path


def asked(root, name, profile, changes):
    settings = load(profile, changes)
    return checked([name], settings, changes, Store(runs.STORE), root / "notebooks")


def test_all_that_is_in_the_way_is_told_at_once_and_nothing_computed(root, monkeypatch):
    free(monkeypatch, GB // 100)
    changes = {"datasets": ["imagefruit", "cub"], "seeds": [0]}
    with pytest.raises(ReglError) as raised:
        asked(root, "table2", "paper", changes)
    first, *lines = str(raised.value).splitlines()
    assert first == f"{len(lines)} problems:"
    begins = {line.strip().partition(": ")[0] for line in lines}
    absent = {"datasets.imagefruit.root", "datasets.cub.root", "disk"}
    absent |= {f"foundation.{model}" for model in ("name", "image_encoder", "captioner")}
    devices = set() if torch.cuda.is_available() else {"foundation.device", "training.device"}
    assert begins == absent | devices and len(lines) == len(begins)
    assert not list(root.glob(".store/*/*"))


def test_models_are_only_asked_for_where_stages_need_them(root):
    with pytest.raises(ReglError) as raised:
        asked(root, "table3", "paper", {"datasets": ["cub"], "seeds": [0]})
    assert "datasets.cub.root" in str(raised.value)
    assert "foundation." not in str(raised.value)


def test_data_that_is_whole_is_decoded_only_after_all_is_well(root, monkeypatch):
    eurosat(root / "eurosat")
    changes = {
        "datasets": ["eurosat"],
        "datasets.eurosat": {"root": str(root / "eurosat"), "complete": False},
        "training": {"device": "cpu"},
    }
    free(monkeypatch, 10)
    with pytest.raises(ReglError, match="disk: "):
        asked(root, "table3", "paper", changes)
    assert not list(root.glob(".store/packed/*"))
    monkeypatch.undo()
    monkeypatch.setattr(runs, "STORE", root / ".store")
    found = asked(root, "table3", "paper", changes)
    assert list(root.glob(".store/packed/Decoded/*/*"))
    assert [stage.source.size.classes for stage in found["table3"].stages] == [3]
    assert found["table3"].stages[0].source.digest == found["table3"].stages[0].source.load().digest


def test_a_grid_that_cannot_be_built_is_told_with_the_rest(root):
    path = root / "notebooks/privacy.ipynb"
    shutil.copy(ROOT / "notebooks/privacy.ipynb", path)
    names, changes = ["table3", "privacy"], {"datasets": ["cub"], "seeds": [0]}
    with pytest.raises(ReglError) as raised:
        checked(names, load("paper", changes), changes, Store(runs.STORE), root / "notebooks")
    assert str(raised.value).count("datasets.cub.root") == 1


def test_desk_waits_for_no_model(tmp_path):
    """What is in order is found so without the libraries of the models."""
    program = f"""
import sys
from pathlib import Path
from regl_core.params import load
from regl_core.press.grids import checked
from regl_core.engine import Store
settings = load("smoke")
assert checked(["table2"], settings, {{}}, Store(Path({str(tmp_path)!r})))["table2"].stages
heavy = {{"diffusers", "transformers", "peft", "huggingface_hub"}} & sys.modules.keys()
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
