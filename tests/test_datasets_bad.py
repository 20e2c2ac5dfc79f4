"""What can be wrong with a data set: one line for each problem, all at once, before any image."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from toy_datasets import FRUIT, NAMES, loader, settings

from regl_core.datasets import find
from regl_core.errors import ReglError


@pytest.fixture
def copied(data_sets, tmp_path) -> Callable[[str], Path]:
    """Gives a copy of a replica, to spoil."""
    return lambda name: Path(shutil.copytree(data_sets[name], tmp_path / data_sets[name].name))


def problems(name: str, root: Path, **changes) -> list[str]:
    """What is wrong; loading says the same, and writes nothing."""
    it = loader(name, root, **changes)
    found = it.problems()
    assert found and all("\n" not in line for line in found)
    with pytest.raises(ReglError) as caught:
        it.load()
    assert all(line in str(caught.value) for line in found)
    assert not it.packed.exists()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_root_that_is_none_says_what_it_holds_and_where_to_get_it(name, tmp_path):
    it = find(name, settings(None), tmp_path / "packed")
    wanted = f"{it.layout}; {it.source}"
    assert it.problems() == [f"datasets.{name}.root: given null, expected {wanted}"]
    (tmp_path / "file").touch()
    for root in (tmp_path / "nothing", tmp_path / "file"):
        (line,) = problems(name, root)
        assert line == f"datasets.{name}.root: {root} is no folder, expected {wanted}"
    (tmp_path / "empty").mkdir()
    for line in problems(name, tmp_path / "empty"):
        assert line.startswith(f"data set {name}: {tmp_path / 'empty'}: ") and it.source in line


@pytest.mark.parametrize("place", ["x" * 300, "x/" * 3000], ids=["name", "path"])
def test_a_path_too_long_for_a_file_is_told(place, tmp_path):
    (line,) = find("eurosat", settings(tmp_path / place), tmp_path / "packed").problems()
    assert "is no folder" in line


def gone(*files: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        for file in files:
            path = root / file
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def emptied(folder: str) -> Callable[[Path], None]:
    return lambda root: gone(*(f"{folder}/{it.name}" for it in (root / folder).iterdir()))(root)


def replaced(file: str, old: str, new: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new, 1))

    return spoil


def written(file: str, content: bytes | dict) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        if isinstance(content, bytes):
            (root / file).write_bytes(content)
        else:
            savemat(root / file, content)

    return spoil


def made(folder: str) -> Callable[[Path], None]:
    return lambda root: (root / folder).mkdir()


META, ANNOTATIONS = "devkit/cars_meta.mat", "devkit/cars_train_annos.mat"
TESTS = "cars_test_annos_withlabels.mat"
LABELS, SPLIT = "image_class_labels.txt", "train_test_split.txt"
FIRST = "images/001.Black_footed_Albatross/Black_footed_Albatross_0001_796000.jpg"
ONE = {"class_names": np.array([["one"]], dtype=object)}
SPOILT = {
    "imagefruit": [
        (gone("val"), ["folders missing in val/: 10 of them: n07753275, "]),
        (
            gone("train/n07753113", "val/n07742313"),
            ["missing in train/: n07753113", "missing in val/: n07742313"],
        ),
        (
            gone(*(f"train/{it}" for it in FRUIT[:7])),
            [f"7 of them: {', '.join(FRUIT[:5])}, …;"],
        ),
        (emptied("train/n07753113"), ["no training image of fig fruit"]),
        (emptied("val/n07745940"), ["no test image of strawberry"]),
    ],
    "cub": [
        (gone("classes.txt"), ["classes.txt is missing"]),
        (gone("images.txt", SPLIT), ["images.txt is missing", f"{SPLIT} is missing"]),
        (gone(FIRST), ["missing below images/: 001.Black_footed_Albatross/"]),
        (gone("images"), ["missing below images/: 18 of them: "]),
        (replaced(LABELS, "5 1\n", "5 9\n"), ["without a name: 9"]),
        (replaced(LABELS, "5 1\n", ""), [f"{LABELS} does"]),
        (replaced(SPLIT, "3 1\n", "3 2\n"), ["has 2, expected 0 or 1"]),
        (replaced("images.txt", "2 001", "two 001"), ["images.txt cannot be read"]),
        (
            replaced("classes.txt", "2 002.Laysan_Albatross", "2"),
            ["number without a text, after 1 lines"],
        ),
        (
            replaced("classes.txt", "002.Laysan_Albatross", "002.Black_footed_Albatross"),
            ["two classes have the same name for prompts: Black footed Albatross"],
        ),
        (written("classes.txt", b"1 \xff\n"), ["classes.txt cannot be read: 'utf-8' codec"]),
    ],
    "cars": [
        (gone(META), [f"{META} cannot be read"]),
        (gone(ANNOTATIONS, TESTS), [f"{ANNOTATIONS} cannot be read", f"{TESTS} cannot be read"]),
        (
            gone("cars_train/00003.jpg", "cars_test/00001.jpg"),
            ["missing in cars_train/: 00003.jpg", "missing in cars_test/: 00001.jpg"],
        ),
        (written(META, ONE), ["cars_train_annos.mat has classes without a name: 2, 3"]),
        (written(META, b"MATLAB"), ["cars_meta.mat cannot be read"]),
        (written(ANNOTATIONS, {"annotations": [[1, 2]]}), ["cars_train_annos.mat cannot be read"]),
        (written(ANNOTATIONS, {"other": [[1, 2]]}), ["annos.mat cannot be read: 'annotations'"]),
    ],
    "eurosat": [
        (emptied("2750/Forest"), ["no training image of forest"]),
        (gone("2750"), ["no folders of classes such as AnnualCrop, Forest"]),
        (made("2750/Sea"), ["folders that are no class of EuroSAT: Sea"]),
    ],
    "folder:photos": [
        (emptied("dog"), ["no training image of dog"]),
        (gone("dog", "eel"), ["1 folders of classes, expected two or more"]),
        (gone(*(f"eel/{i}.png" for i in range(4))), ["a single image, expected"]),
        (made("train"), ["train/ is there, but none of test/, val/"]),
        (
            written("classes.txt", "cat,K\xe4tzchen\n".encode("latin-1")),
            ["classes.txt is no text in UTF-8 (byte 5)"],
        ),
    ],
}


@pytest.mark.parametrize(
    ("name", "spoil", "words"), [(name, *case) for name, its in SPOILT.items() for case in its]
)
def test_what_is_wrong_is_named(name, spoil, words, copied):
    root = copied(name)
    spoil(root)
    found = problems(name, root)
    assert all(any(word in line for line in found) for word in words), found
    assert all(line.startswith(f"data set {name}: {root}") for line in found)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "cub",
            ["3 classes, expected 200", "12 training images, expected 5,994", "6 test images, ex"],
        ),
        ("cars", ["3 classes, expected 196", "expected 8,144", "6 test images, expected 8,041"]),
        ("eurosat", ["3 classes, expected 10", "24 training images, expected 21,600"]),
        (
            "imagefruit",
            [
                "train/: 10 of them: n07753275 has 4, ",
                "expected 732 to 1,300 images",
                "val/: 10 of them: n07753275 has 2, ",
            ],
        ),
    ],
)
def test_wrong_counts_are_told_where_a_data_set_must_be_complete(name, words, data_sets):
    it = loader(name, data_sets[name], complete=True)
    found = it.problems()
    assert all(any(word in line for line in found) for word in words), found
    with pytest.raises(ReglError, match=str(len(found))):
        it.load()
    assert loader(name, data_sets[name]).problems() == []


def test_one_image_too_few_is_told(data_sets, monkeypatch):
    it = loader("cub", data_sets["cub"], complete=True)
    monkeypatch.setattr(type(it), "numbers", (3, 12, 6))
    assert it.problems() == []
    monkeypatch.setattr(type(it), "numbers", (3, 13, 6))
    (line,) = it.problems()
    assert "12 training images, expected 13" in line


def test_a_wrong_list_of_classes_is_told():
    with pytest.raises(ReglError, match="class_list"):
        settings(None, class_list="mine")


@pytest.mark.parametrize("name", NAMES)
def test_too_large_a_cut_is_told(name, data_sets, tmp_path):
    def of(**changes) -> list[str]:
        return find(name, settings(data_sets[name], **changes), tmp_path).problems()

    fewest = min(loader(name, data_sets[name]).listed().counts()[0])
    assert of(train_per_class=fewest) == []
    (line,) = of(train_per_class=fewest + 1)
    assert f"train_per_class: given {fewest + 1}, expected at most {fewest}" in line
    (line,) = of(validation_share=0.95)
    assert f"a class of {fewest} training images would keep none" in line


def test_an_image_folder_has_no_published_numbers(tmp_path):
    with pytest.raises(ReglError, match="nothing is known of it before it is there"):
        find("folder:/x", settings(tmp_path)).nominal()
