"""What can be wrong with a data set: one line for each problem, all at once, before any image."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from toy_datasets import FRUIT, loader, replicas, settings

from regl_core.datasets import find
from regl_core.errors import ReglError
from tools.replica import datasets as replica

NAMES = ["imagefruit", "cub", "cars", "eurosat", "folder:photos"]


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    return replicas(tmp_path_factory.mktemp("replicas"))


@pytest.fixture
def roots(originals, tmp_path):
    """Copies to spoil."""
    return {
        name: Path(shutil.copytree(root, tmp_path / root.name)) for name, root in originals.items()
    }


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
def test_a_missing_root_says_what_it_holds_and_where_to_get_it(name, tmp_path):
    (line,) = problems(name, tmp_path / "nothing")
    it = loader(name, tmp_path / "nothing")
    assert line.startswith(f"datasets.{name}.root: {tmp_path / 'nothing'} is no folder, expected ")
    assert it.layout in line and it.source in line


@pytest.mark.parametrize("name", NAMES)
def test_no_root_and_a_file_as_root_are_told(name, tmp_path):
    it = find(name, settings(None), tmp_path / "packed")
    assert it.problems() == [f"datasets.{name}.root: given null, expected {it.layout}; {it.source}"]
    (tmp_path / "file").touch()
    (line,) = problems(name, tmp_path / "file")
    assert "is no folder" in line


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_root_is_told(name, tmp_path):
    (tmp_path / "root").mkdir()
    found = problems(name, tmp_path / "root")
    assert all(line.startswith(f"data set {name}: {tmp_path / 'root'}: ") for line in found)
    assert all(loader(name, tmp_path).source in line for line in found)


@pytest.mark.parametrize("name", NAMES[:4])
def test_the_folder_above_is_told_from_the_data_set(name, roots, tmp_path):
    above = tmp_path / "above"
    above.mkdir()
    shutil.move(roots[name], above / "inner")
    assert all(f"(did you mean {above / 'inner'}?)" in it for it in problems(name, above))


def gone(*files: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        for file in files:
            path = root / file
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def replaced(file: str, old: str, new: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new, 1))

    return spoil


def emptied(folder: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        assert list((root / folder).iterdir())
        for file in (root / folder).iterdir():
            file.unlink()

    return spoil


def meta(root: Path) -> None:
    savemat(root / "devkit/cars_meta.mat", {"class_names": np.array([["one"]], dtype=object)})


FIRST = "images/001.Black_footed_Albatross/Black_footed_Albatross_0001_796000.jpg"


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("imagefruit", gone("val"), ["folders missing in val/: 10 of them: n07753275, "]),
        (
            "imagefruit",
            gone("train/n07753113", "val/n07742313"),
            ["missing in train/: n07753113", "missing in val/: n07742313"],
        ),
        ("imagefruit", emptied("train/n07753113"), ["no training image of fig fruit"]),
        ("imagefruit", emptied("val/n07745940"), ["no test image of strawberry"]),
        ("cub", gone("classes.txt"), ["classes.txt is missing"]),
        (
            "cub",
            gone("images.txt", "train_test_split.txt"),
            ["images.txt is missing", "train_test_split.txt is missing"],
        ),
        ("cub", gone(FIRST), ["missing below images/: 001.Black_footed_Albatross/"]),
        ("cub", gone("images"), ["missing below images/: 18 of them: "]),
        ("cub", replaced("image_class_labels.txt", "5 1\n", "5 9\n"), ["without a name: 9"]),
        ("cub", replaced("image_class_labels.txt", "5 1\n", ""), ["image_class_labels.txt does"]),
        ("cub", replaced("train_test_split.txt", "3 1\n", "3 2\n"), ["has 2, expected 0 or 1"]),
        ("cub", replaced("images.txt", "2 001", "two 001"), ["images.txt, line 2: 'two 001"]),
        ("cub", replaced("classes.txt", "2 002.Laysan_Albatross", "2"), ["classes.txt, line 2"]),
        (
            "cub",
            replaced("classes.txt", "002.Laysan_Albatross", "002.Black_footed_Albatross"),
            ["two classes have the same name for prompts: Black footed Albatross"],
        ),
        ("cars", gone("devkit/cars_meta.mat"), ["devkit/cars_meta.mat is missing"]),
        (
            "cars",
            gone("devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat"),
            ["cars_train_annos.mat is missing", "cars_test_annos_withlabels.mat is missing"],
        ),
        (
            "cars",
            gone("cars_train/00003.jpg", "cars_test/00001.jpg"),
            ["missing in cars_train/: 00003.jpg", "missing in cars_test/: 00001.jpg"],
        ),
        ("cars", meta, ["cars_train_annos.mat has classes without a name: 2, 3"]),
        (
            "cars",
            lambda root: (root / "devkit/cars_meta.mat").write_text("MATLAB"),
            ["cars_meta.mat cannot be read"],
        ),
        (
            "cars",
            lambda root: savemat(root / "devkit/cars_train_annos.mat", {"annotations": [[1, 2]]}),
            ["cars_train_annos.mat has no annotations with class, fname"],
        ),
        (
            "cars",
            lambda root: savemat(root / "devkit/cars_train_annos.mat", {"other": [[1, 2]]}),
            ["cars_train_annos.mat has no annotations"],
        ),
        ("eurosat", emptied("2750/Forest"), ["no training image of forest"]),
        ("eurosat", gone("2750"), ["no folders of classes such as AnnualCrop, Forest"]),
        (
            "eurosat",
            lambda root: (root / "2750/Sea").mkdir(),
            ["folders that are no class of EuroSAT: Sea"],
        ),
        ("folder:photos", emptied("dog"), ["no training image of dog"]),
        ("folder:photos", gone("dog", "eel"), ["1 folders of classes, expected two or more"]),
        ("folder:photos", gone(*(f"eel/{i}.png" for i in range(4))), ["a single image, expected"]),
        (
            "folder:photos",
            lambda root: (root / "train").mkdir(),
            ["train/ is there, but none of test/, val/"],
        ),
    ],
)
def test_what_is_wrong_is_named(name, spoil, words, roots):
    spoil(roots[name])
    found = problems(name, roots[name])
    assert all(any(word in line for line in found) for word in words), found
    assert all(line.startswith(f"data set {name}: {roots[name]}") for line in found)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cub", ["3 classes, expected 200", "12 training images, expected 5,994"]),
        ("cub", ["6 test images, expected 5,794"]),
        ("cars", ["3 classes, expected 196", "12 training images, expected 8,144"]),
        ("cars", ["6 test images, expected 8,041"]),
        ("eurosat", ["10 images of AnnualCrop, expected 3000", "0 images of SeaLake"]),
        ("imagefruit", ["train/: 10 of them: n07753275 has 4, ", "expected 732 to 1,300 images"]),
        ("imagefruit", ["val/: 10 of them: n07753275 has 2, ", "expected 50 images"]),
    ],
)
def test_wrong_counts_are_told_where_a_data_set_must_be_complete(name, words, originals, tmp_path):
    it = loader(name, originals[name], complete=True)
    found = it.problems()
    assert all(any(word in line for line in found) for word in words), found
    with pytest.raises(ReglError, match=str(len(found))):
        it.load()
    assert loader(name, originals[name]).problems() == []


def test_one_image_too_few_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("regl_core.datasets.cub.Cub.numbers", (3, 12, 6))
    it = loader("cub", replica.cub(tmp_path / "cub"), complete=True)
    assert it.problems() == []
    monkeypatch.setattr("regl_core.datasets.cub.Cub.numbers", (3, 13, 6))
    (line,) = it.problems()
    assert "12 training images, expected 13" in line


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("cub", "cmc", "given cmc, expected null"),
        ("imagenet100", None, "given null, expected cmc or fgl"),
        ("imagenet100", "mine", "given mine, expected cmc or fgl"),
    ],
)
def test_a_wrong_list_of_classes_is_told(name, given, expected, tmp_path):
    (line,) = problems(name, tmp_path / "root", class_list=given)
    assert line == f"datasets.{name}.class_list: {expected}"
    with pytest.raises(ReglError, match="class_list"):
        find(name, settings(None, class_list=given)).nominal()


@pytest.mark.parametrize("name", NAMES)
def test_too_large_a_cut_is_told(name, roots):
    fewest = min(loader(name, roots[name]).listed().counts()[0])
    assert loader(name, roots[name], train_per_class=fewest).problems() == []
    (line,) = problems(name, roots[name], train_per_class=fewest + 1)
    assert f"train_per_class: given {fewest + 1}, expected at most {fewest}" in line
    (line,) = problems(name, roots[name], validation_share=0.95)
    assert f"a class of {fewest} training images would keep none" in line


def test_an_image_folder_has_no_published_numbers(tmp_path):
    with pytest.raises(ReglError, match="nothing is known of it before it is there"):
        find("folder:/x", settings(tmp_path)).nominal()


def test_many_missing_files_are_counted_and_some_named(roots):
    synsets = FRUIT[:7]
    gone(*(f"train/{it}" for it in synsets))(roots["imagefruit"])
    (line,) = problems("imagefruit", roots["imagefruit"])
    assert f"7 of them: {', '.join(synsets[:5])}, …;" in line


@pytest.mark.parametrize("place", ["x" * 300, "x/" * 3000], ids=["name", "path"])
@pytest.mark.parametrize("name", ["folder:photos", "eurosat"])
def test_a_path_too_long_for_a_file_is_told(name, place, tmp_path):
    (line,) = find(name, settings(tmp_path / place), tmp_path / "packed").problems()
    assert "is no folder" in line


def test_lists_that_are_no_text_are_told(roots):
    (roots["folder:photos"] / "classes.txt").write_bytes("cat,K\xe4tzchen\n".encode("latin-1"))
    (line,) = problems("folder:photos", roots["folder:photos"])
    assert "classes.txt is no text in UTF-8 (byte 5)" in line
    (roots["cub"] / "classes.txt").write_bytes(b"1 \xff\n")
    (line,) = problems("cub", roots["cub"])
    assert "classes.txt is no text in UTF-8 (byte 2)" in line


@pytest.mark.parametrize("target", [".", "..", "../../photos/cat", "inner"])
def test_a_link_to_a_folder_above_is_told(roots, target):
    root = roots["folder:photos"]
    inner = root / "train/cat" if (root / "train").is_dir() else root / "cat"
    before = loader("folder:photos", root).listed().files
    (inner / "loop").symlink_to(inner.parent / "dog" if target == "inner" else target)
    if target == "inner":  # no loop: the images there are found once more, below the link
        assert len(loader("folder:photos", root).listed().files) > len(before)
        return
    (line,) = problems("folder:photos", root)
    assert f"{inner / 'loop'} is a link to a folder that it lies in" in line or "/loop/" in line
