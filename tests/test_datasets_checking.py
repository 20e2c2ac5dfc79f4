"""`make data`: what is there, what is missing, where to get it; and every image looked at."""

import hashlib
import shutil

import pytest
from toy_datasets import NAMES, replicas

from regl_core import datasets
from regl_core.__main__ import main
from regl_core.datasets import check, decoding, find
from regl_core.datasets.eurosat import IMAGES
from regl_core.engine import Store
from regl_core.errors import ReglError
from regl_core.params import load
from regl_core.seeds import numpy_generator

PAPER = load("paper")
EUROSAT = PAPER.datasets["eurosat"]
# `drawn` of all images at split_seed 0
SPLIT = "aa7dd89efd4e21770b4327eea71c5579a68933271108e620fe3924e7bd8173b1"


@pytest.fixture
def small(tmp_path):
    """The paper's settings for replicas."""
    changes, roots = {"datasets": NAMES[:4]}, replicas(tmp_path)
    for name in changes["datasets"]:
        its = {"root": str(roots[name]), "complete": False, "image_side": 32}
        changes |= {f"datasets.{name}.{key}": value for key, value in its.items()}
    return load("paper", changes)


def test_what_is_whole_is_told_and_decoded(small, tmp_path, capsys):
    check(small, tmp_path / "packed")
    lines = capsys.readouterr().out.splitlines()
    digest = datasets.load("cub", small.datasets["cub"], tmp_path / "packed").digest
    said = f"cub: 12 training and 6 test images of 3 classes in {tmp_path / 'cub'}"
    assert f"{said}, each of them whole; digest {digest[:12]}" in lines
    assert [it.split(":")[0] for it in lines if "each of them whole" in it] == NAMES[:4]
    assert len(list(Store(tmp_path / "packed").folders())) == 4


def test_all_that_is_missing_is_told_and_the_rest_is_decoded(small, tmp_path, capsys):
    (tmp_path / "cub/images.txt").unlink()
    (tmp_path / "cub/classes.txt").unlink()
    (tmp_path / "cars/cars_train/00002.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (tmp_path / "cars/cars_test/00001.jpg").write_bytes(b"")
    with pytest.raises(ReglError, match=r"2 of 4 data sets cannot be used: cub, cars"):
        check(small, tmp_path / "packed")
    out = capsys.readouterr().out
    assert "cub: cannot be used\n  2 problems:" in out
    assert "images.txt is missing; get Caltech" in out and "classes.txt is missing" in out
    assert "data set cars: 2 image files cannot be decoded" in out
    assert "cars_train/00002.jpg" in out and "cars_test/00001.jpg" in out
    whole = [it.split(":")[0] for it in out.splitlines() if "each of them whole" in it]
    assert whole == ["imagefruit", "eurosat"]


def test_too_small_a_disk_is_told_before_anything_is_decoded(small, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(decoding, "attempted", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ReglError, match=r"need 0\.0 GB more .* DATASETS=…"):
        check(small, tmp_path / "packed")


def test_the_command_says_what_is_missing_and_has_status_2(tmp_path, capsys):
    roots = [f"datasets.{name}.root={tmp_path / name}" for name in PAPER.datasets]
    assert main(["data", "--profile", "paper", "--set", *roots]) == 2
    shown = capsys.readouterr()
    assert "error: 5 of 5 data sets cannot be used: imagefruit, " in shown.err
    assert all(f"{tmp_path / name} is no folder" in shown.out for name in PAPER.datasets)
    assert all(it in shown.out for it in ("ILSVRC 2012", "Caltech", "Stanford", "Zenodo"))
    assert main(["data", "--profile", "smoke"]) == 0
    line = "digits: 60 training and 1,137 test images of 10 classes out of scikit-learn, each"
    assert line in capsys.readouterr().out


def test_every_data_set_of_a_profile_is_known():
    assert {*PAPER.datasets, "digits", "folder"} == datasets.known().keys()


def drawn(listing) -> str:
    """SHA-256, in hex, of the names of the test images, sorted, a line each."""
    names = sorted(listing.files[row].split("/")[1] for row in listing.test.rows)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def test_the_split_of_eurosat_is_the_stored_one(tmp_path):
    """Of its 27,000 images, by their published names; and drawn once more, by hand."""
    assert sum(IMAGES.values()) == 27000 and list(IMAGES) == sorted(IMAGES)
    found, tests = find("eurosat", EUROSAT, tmp_path).published(), set()
    assert drawn(found) == SPLIT
    shares = ([4 * it // 5 for it in IMAGES.values()], [it // 5 for it in IMAGES.values()])
    assert found.counts() == shares
    for k, (kind, count) in enumerate(IMAGES.items()):
        names = sorted(f"{kind}_{i}.jpg" for i in range(1, count + 1))
        order = numpy_generator(0, "split", "eurosat", k).permutation(count)
        tests |= {names[i] for i in order[: count // 5]}
    assert {found.files[row].split("/")[1] for row in found.test.rows} == tests
    other = EUROSAT.model_copy(update={"split_seed": 1})
    assert drawn(find("eurosat", other, tmp_path).published()) != SPLIT
