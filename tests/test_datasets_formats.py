"""Each data set in its exact form on the disk, in small: classes, names, labels, splits."""

from pathlib import Path

import pytest
from torchvision import datasets as torchvision
from toy_datasets import FRUIT, NAMES, loader, settings

from regl_core import datasets
from tools.replica import datasets as replica


def files(name: str, root: Path, **changes) -> list[list[tuple[str, int]]]:
    """Training and test files with their labels."""
    listing = loader(name, root, **changes).listed()
    return [
        [(listing.files[row], label) for row, label in zip(it.rows, it.labels, strict=True)]
        for it in listing.parts
    ]


@pytest.mark.parametrize(
    ("name", "classes", "train", "test"),
    [*zip(NAMES, (10, 3, 3, 3, 3), (4, 4, 4, 8, 4), (2, 2, 2, 2, 1), strict=True)],
)
def test_every_replica_loads_as_it_is_listed(data_sets, name, classes, train, test):
    it = loader(name, data_sets[name])
    assert it.problems() == []
    found, listing = it.load(), it.listed()
    assert found.name == name and found.classes == listing.classes
    assert listing.counts() == ([train] * classes, [test] * classes)
    for split, part in ((found.train, listing.train), (found.test, listing.test)):
        assert split.labels.tolist() == part.labels.tolist()


def test_cub_follows_its_text_files(data_sets, tmp_path):
    root = data_sets["cub"]
    tables = {
        name: (root / f"{name}.txt").read_text().split()[1::2]
        for name in ("images", "image_class_labels", "train_test_split")
    }
    rows = list(zip(*tables.values(), strict=True))
    expected = [[(f"images/{f}", int(k) - 1) for f, k, s in rows if s == it] for it in "10"]
    assert files("cub", root) == expected
    names = loader("cub", root).listed().classes
    assert names == ("Black footed Albatross", "Laysan Albatross", "Sooty Albatross")
    root = replica.cub(tmp_path / "cub", classes=2, train=2, test=2)
    lines = "".join(f"{i} {i % 2}\n" for i in range(8, 0, -1))  # in another order, too
    (root / "train_test_split.txt").write_text(lines)
    train, test = files("cub", root)
    assert [name[-15:-11] for name, _ in train] == ["0001", "0003"] * 2
    assert [name[-15:-11] for name, _ in test] == ["0002", "0004"] * 2


def test_cars_are_what_torchvision_reads(tmp_path):
    root = replica.cars(tmp_path / "stanford_cars")
    found = loader("cars", root).listed()
    for part, own in zip(("train", "test"), files("cars", root), strict=True):
        theirs = torchvision.StanfordCars(tmp_path, split=part)
        assert [(str(root / name), label) for name, label in own] == theirs._samples
        assert list(found.classes) == theirs.classes
    assert found.classes[0] == "AM General Hummer SUV 2000"


def test_eurosat_is_what_torchvision_reads(tmp_path):
    root = replica.eurosat(tmp_path / "eurosat")
    theirs = torchvision.EuroSAT(tmp_path)
    train, test = files("eurosat", root)
    assert sorted((str(root / name), k) for name, k in train + test) == sorted(theirs.samples)
    assert not {*train} & {*test}
    assert theirs.classes == ["AnnualCrop", "Forest", "HerbaceousVegetation"]
    names = loader("eurosat", root).listed().classes
    assert names == ("annual crop", "forest", "herbaceous vegetation")


def test_imagenet_is_chosen_by_synset_in_the_order_of_the_list(tmp_path):
    others = ["n01440764", "n03888257", "n12768682"]  # before, between and after
    root = replica.imagenet(tmp_path / "imagenet", sorted([*FRUIT, *others]))
    train, test = files("imagefruit", root)
    for part, own in (("train", train), ("val", test)):
        expected = {(part, synset, k) for k, synset in enumerate(FRUIT)}
        assert {(*name.split("/")[:2], label) for name, label in own} == expected
    assert len(train) == 40 and len(test) == 20


def test_the_two_lists_of_imagenet100_share_eight_classes(tmp_path):
    cmc, fgl = (loader("imagenet100", tmp_path, class_list=it).classes() for it in ("cmc", "fgl"))
    assert len(cmc) == len(fgl) == 100 and len(cmc.keys() & fgl.keys()) == 8
    root = replica.imagenet(tmp_path / "imagenet", fgl, train=1, test=1)
    found = loader("imagenet100", root, class_list="fgl").load()
    assert found.classes == tuple(fgl.values()) and len(found.train) == 100
    assert len(loader("imagenet100", root, class_list="cmc").problems()) == 2


@pytest.mark.parametrize("name", ["cub", "imagefruit"])
def test_images_of_a_part_can_be_drawn_by_seed(data_sets, name):
    def cut(**changes) -> list[set]:
        return [{*part} for part in files(name, data_sets[name], **changes)]

    (all_train, all_test), (few, test), (more, _) = (
        cut(train_per_class=count) for count in (None, 2, 3)
    )
    assert few < more < all_train and test == all_test
    assert cut(train_per_class=2, split_seed=1)[0] != few
    train, held_out = cut(validation_share=0.25)
    assert train | held_out == all_train and len(held_out) == len(all_train) // 4
    train, held_out = cut(validation_share=0.34, train_per_class=3)
    assert train | held_out == more


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("imagefruit", [1300] * 10, [50] * 10),
        ("imagenet100", [1300] * 100, [50] * 100),
        ("cub", [30] * 194 + [29] * 6, [29] * 194 + [28] * 6),
        ("cars", [42] * 108 + [41] * 88, [42] * 5 + [41] * 191),
    ],
)
def test_what_was_published_is_known_without_a_file(name, train, test):
    its = settings(None, class_list="cmc" if name == "imagenet100" else None)
    found = datasets.find(name, its).nominal()
    assert found.counts() == (train, test) and len(set(found.classes)) == len(train)


def test_imagefruit_has_its_order_and_its_fruits():
    found = loader("imagefruit", Path("/nowhere")).classes()
    assert list(found) == FRUIT
    fruits = "pineapple, banana, strawberry, orange fruit, lemon, pomegranate, fig fruit"
    assert ", ".join(found.values()) == f"{fruits}, bell pepper, cucumber, Granny Smith apple"
