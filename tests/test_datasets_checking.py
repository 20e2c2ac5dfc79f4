"""`make data`: what is there, what is missing, where to get it; and every image looked at."""

import json
import shutil

import pytest
from toy_datasets import replicas

from regl_core import datasets
from regl_core.__main__ import main
from regl_core.datasets import checking, find, known, packing
from regl_core.datasets.eurosat import IMAGES, SPLIT, split_digest
from regl_core.errors import ReglError
from regl_core.params import load
from regl_core.seeds import numpy_generator

PAPER = load("paper")


@pytest.fixture
def replica(tmp_path):
    """The paper's settings for replicas, in small."""
    roots = replicas(tmp_path)
    changes = {"datasets": ["imagefruit", "cub", "cars", "eurosat"]}
    for name in changes["datasets"]:
        its = {"root": str(roots[name]), "complete": False, "image_side": 32}
        changes |= {f"datasets.{name}.{key}": value for key, value in its.items()}
    return load("paper", changes)


def test_what_is_whole_is_told_and_decoded(replica, tmp_path, capsys):
    checking.check(replica, tmp_path / "packed")
    lines = capsys.readouterr().out.splitlines()
    assert f"cub: 12 training and 6 test images of 3 classes in {tmp_path / 'cub'}" in lines
    assert [line.split(":")[0] for line in lines if "every image is whole" in line] == list(
        replica.datasets
    )
    assert len(list((tmp_path / "packed").glob("*/images.u8"))) == 4
    digest = datasets.load("cub", replica.datasets["cub"], tmp_path / "packed").digest
    assert f"cub: every image is whole, digest {digest[:12]}" in lines


def test_all_that_is_missing_is_told_and_the_rest_is_decoded(replica, tmp_path, capsys):
    (tmp_path / "cub/images.txt").unlink()
    (tmp_path / "cub/classes.txt").unlink()
    (tmp_path / "cars/cars_train/00002.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (tmp_path / "cars/cars_test/00001.jpg").write_bytes(b"")
    with pytest.raises(ReglError, match=r"2 of 4 data sets cannot be used: cub, cars"):
        checking.check(replica, tmp_path / "packed")
    out = capsys.readouterr().out
    assert "cub: cannot be used\n  2 problems:" in out
    assert "images.txt is missing; get Caltech" in out and "classes.txt is missing" in out
    assert "data set cars: 2 image files cannot be decoded" in out
    assert "cars_train/00002.jpg" in out and "cars_test/00001.jpg" in out
    assert "imagefruit: every image is whole" in out and "eurosat: every image is whole" in out


def test_too_small_a_disk_is_told_before_anything_is_decoded(replica, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(packing, "attempted", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ReglError, match=r"need 0\.0 GB more .* DATASETS=…"):
        checking.check(replica, tmp_path / "packed")


def test_the_command_has_status_2_where_something_is_missing(tmp_path, capsys):
    roots = [f"datasets.{name}.root={tmp_path / name}" for name in PAPER.datasets]
    assert main(["data", "--profile", "paper", "--set", *roots]) == 2
    shown = capsys.readouterr()
    assert "error: 5 of 5 data sets cannot be used: imagefruit, " in shown.err
    for name in PAPER.datasets:
        assert f"{tmp_path / name} is no folder" in shown.out
    for words in ("ILSVRC 2012", "Caltech", "Stanford", "Zenodo"):
        assert words in shown.out


def test_the_digits_are_there(capsys):
    assert main(["data", "--profile", "smoke"]) == 0
    line = "digits: 60 training and 1,737 test images of 10 classes out of scikit-learn"
    assert line in capsys.readouterr().out


def test_every_data_set_of_a_profile_is_known():
    assert {*PAPER.datasets, "digits", "folder"} == known().keys()


def official() -> dict[str, list[str]]:
    """EuroSAT's names of files by class, sorted."""
    return {
        kind: sorted(f"{kind}_{i}.jpg" for i in range(1, count + 1))
        for kind, count in IMAGES.items()
    }


def test_eurosat_has_its_27000_images():
    assert sum(IMAGES.values()) == 27000 and list(IMAGES) == sorted(IMAGES)
    found = find("eurosat", PAPER.datasets["eurosat"]).nominal()
    assert found.counts()[0] == [4 * count // 5 for count in IMAGES.values()]
    assert found.counts()[1] == [count // 5 for count in IMAGES.values()]


def test_the_split_of_eurosat_is_the_stored_one(tmp_path):
    """Found by the published names; and drawn once more, by hand."""
    found = find("eurosat", PAPER.datasets["eurosat"], tmp_path).published()
    assert split_digest(found) == SPLIT
    tests = set()
    for k, names in enumerate(official().values()):
        order = numpy_generator(0, "split", "eurosat", k).permutation(len(names))
        tests |= {names[i] for i in order[: len(names) // 5]}
    assert {found.files[row].split("/")[1] for row in found.test.rows} == tests
    other = PAPER.datasets["eurosat"].model_copy(update={"split_seed": 1})
    assert split_digest(find("eurosat", other, tmp_path).published()) != SPLIT


def test_the_split_of_eurosat_is_compared_where_all_images_are_there(tmp_path):
    for kind, names in official().items():
        (tmp_path / "2750" / kind).mkdir(parents=True)
        for name in names:
            (tmp_path / "2750" / kind / name).touch()
    its = PAPER.datasets["eurosat"].model_copy(update={"root": str(tmp_path)})
    assert find("eurosat", its).problems() == []
    found = find("eurosat", its, tmp_path).listed()
    assert split_digest(found) == SPLIT and len(found.train) == 21600
    (tmp_path / "2750/River/River_7.jpg").rename(tmp_path / "2750/River/Rhine.jpg")
    (line,) = find("eurosat", its).problems()
    assert "is not the one stored" in line
    (tmp_path / "2750/River/Rhine.jpg").unlink()
    (line,) = find("eurosat", its).problems()
    assert "2499 images of River, expected 2500" in line


def test_the_manifest_names_every_block(replica, tmp_path):
    datasets.load("cub", replica.datasets["cub"], tmp_path / "packed")
    (manifest,) = (tmp_path / "packed").glob("cub-*/manifest.json")
    (sums,) = json.loads(manifest.read_text()).values()
    assert [len(sha) for sha in sums] == [64, 64]
