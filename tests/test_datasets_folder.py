"""Any image folder: its parts, its names, what counts as an image, a format of one's own."""

import csv
import shutil
from pathlib import Path
from typing import ClassVar

import pytest
from toy_datasets import loader, settings

from regl_core.datasets import FileLoader, Listing
from regl_core.datasets.listing import words
from regl_core.errors import ReglError
from regl_core.params import ROOT
from tools.replica import datasets as replica


@pytest.fixture
def photos(tmp_path):
    return replica.photos(tmp_path / "photos", ["010.Red_fox", "eel", "otter"])


def listed(root: Path, **changes) -> Listing:
    return loader("folder:photos", root, **changes).listed()


def files(root: Path, **changes) -> tuple[set[str], set[str]]:
    listing = listed(root, **changes)
    return tuple({listing.files[row] for row in part.rows} for part in listing.parts)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("001.Black_footed_Albatross", "Black footed Albatross"),
        ("17-red_fox", "red fox"),
        ("042_otter", "otter"),
        ("747", "747"),
        ("4x4 truck", "4x4 truck"),
        ("sea  horse", "sea horse"),
    ],
)
def test_names_of_folders_become_words(name, expected):
    assert words(name) == expected


@pytest.mark.parametrize("sign", [None, "\t", ",", " , ", ",\t"])
def test_names_come_from_the_folders_or_from_classes_txt(photos, sign):
    expected = ("Red fox", "eel", "otter")
    if sign:
        expected = ("fox, in the snow", "eel", "sea otter")
        (photos / "classes.txt").write_text(
            f"otter{sign}sea otter\n\n010.Red_fox{sign}fox, in the snow\neel{sign}eel\n"
        )
    assert listed(photos).classes == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("eel,eel\notter,otter\n", ["classes.txt: no name for 010.Red_fox; expected in each"]),
        ("010.Red_fox\neel,\notter,otter", ["no name for 010.Red_fox, eel"]),
        ("010.Red_fox,a\neel,b\notter,c\neel,d", ["lines that are twice there"]),
        ("010.Red_fox,a\neel,b\notter,c\ncat,d", ["classes.txt: no folder cat"]),
        ("010.Red_fox,a\neel,b\notter,b", ["same name for prompts: b"]),
    ],
)
def test_a_wrong_classes_txt_is_told(photos, text, said):
    (photos / "classes.txt").write_text(text)
    found = loader("folder:photos", photos).problems()
    assert all(any(word in line for line in found) for word in said), found


def test_without_parts_a_share_drawn_by_seed_is_for_test(photos):
    train, test = files(photos)
    assert len(train) == 12 and len(test) == 3 and not train & test
    assert {name.split("/")[0] for name in test} == {"010.Red_fox", "eel", "otter"}
    assert files(photos) == (train, test) != files(photos, split_seed=1)
    shutil.move(photos, photos.with_name("elsewhere"))
    assert files(photos.with_name("elsewhere")) == (train, test)


@pytest.mark.parametrize(
    ("parts", "used"), [(["test"], "test"), (["val"], "val"), (["test", "val"], "test")]
)
def test_parts_that_are_there_are_used(tmp_path, parts, used):
    root = tmp_path / "photos"
    replica.photos(root / "train", ["cat", "dog"], images=3)
    for part in parts:
        replica.photos(root / part, ["cat", "dog"], images=2, seed=1)
    (root / "classes.txt").write_text("cat,house cat\ndog,dog\n")
    train, test = files(root)
    assert train == {f"train/{name}/{i}.png" for name in ("cat", "dog") for i in range(3)}
    assert test == {f"{used}/{name}/{i}.png" for name in ("cat", "dog") for i in range(2)}
    assert listed(root).classes == ("house cat", "dog")


def test_classes_of_one_part_alone_are_told(tmp_path):
    root = tmp_path / "photos"
    replica.photos(root / "train", ["cat", "dog", "eel"], images=2)
    replica.photos(root / "test", ["cat", "dog", "fox"], images=2)
    (line,) = loader("folder:photos", root).problems()
    assert "classes in test/ that train/ lacks: fox" in line
    shutil.rmtree(root / "test/fox")
    (line,) = loader("folder:photos", root).problems()
    assert "no test image of eel" in line


def test_only_images_count_wherever_they_lie(photos):
    (photos / "eel/deep/er").mkdir(parents=True)
    shutil.copy(photos / "eel/0.png", photos / "eel/deep/er/SHOUTED.PNG")
    for name in ("notes.txt", ".hidden.png", "Thumbs.db"):
        (photos / "eel" / name).write_text("no image")
    (photos / ".cache").mkdir()
    (photos / "readme.md").touch()
    train, test = files(photos)
    expected = {*(f"eel/{i}.png" for i in range(5)), "eel/deep/er/SHOUTED.PNG"}
    assert {it for it in train | test if it.startswith("eel")} == expected


def test_a_root_that_is_not_absolute_lies_in_the_repository(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert loader("folder:x", Path("data/x")).root == ROOT / "data/x"
    monkeypatch.setenv("HOME", "/home/me")
    assert loader("folder:x", Path("~/x")).root == Path("/home/me/x")


class Leaves(FileLoader):
    """Images named, labelled and divided by a table with the columns file, class and part."""

    kind: ClassVar[str] = "leaves"
    layout: ClassVar[str] = "a folder with leaves.csv and the images it names"
    source: ClassVar[str] = "ask the botanists for it"

    def found(self, root: Path) -> Listing:
        with (root / "leaves.csv").open() as file:
            rows = list(csv.DictReader(file))
        names = sorted({row["class"] for row in rows})
        train, test = (
            [(row["file"], names.index(row["class"])) for row in rows if row["part"] == part]
            for part in ("train", "test")
        )
        return Listing.official(names, root, train, test)


def test_a_format_of_ones_own_is_one_short_class(tmp_path):
    root = replica.photos(tmp_path / "leaves", ["a", "b"], images=3)
    lines = [
        f"{name}/{i}.png,{kind},{'test' if i == 2 else 'train'}"
        for name, kind in (("a", "oak"), ("b", "elm"))
        for i in range(3)
    ]
    (root / "leaves.csv").write_text("\n".join(["file,class,part", *lines]))
    found = Leaves("leaves", settings(root), tmp_path / "packed").load()
    assert found.classes == ("elm", "oak")
    assert found.train.labels.tolist() == [1, 1, 0, 0] and found.test.labels.tolist() == [1, 0]
    assert found.train.images.shape == (4, 3, 32, 32)
    with pytest.raises(ReglError, match="ask the botanists"):
        Leaves("leaves", settings(tmp_path / "no"), tmp_path / "packed").load()
