"""Each data set in its exact form on the disk, in small: classes, labels, official splits."""

import pytest
import torch
from torchvision import datasets as torchvision
from toy_datasets import FRUIT, loader, replicas, settings

from regl_core import datasets
from regl_core.datasets.decoding import decoded
from regl_core.params import load
from tools.replica import datasets as replica


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    return replicas(tmp_path_factory.mktemp("replicas"))


def listed_files(loader) -> list[list[tuple[str, int]]]:
    """Training and test files with their labels."""
    listing = loader.listed()
    return [
        [
            (listing.files[row], label)
            for row, label in zip(part.rows, part.labels.tolist(), strict=True)
        ]
        for part in listing.parts
    ]


@pytest.mark.parametrize(
    ("name", "classes", "train", "test"),
    [
        ("imagefruit", 10, 4, 2),
        ("cub", 3, 4, 2),
        ("cars", 3, 4, 2),
        ("eurosat", 3, 8, 2),
        ("folder:photos", 3, 4, 1),
    ],
)
def test_every_replica_loads_as_it_is_listed(roots, name, classes, train, test):
    it = loader(name, roots[name])
    assert it.problems() == []
    found, listing = it.load(), it.listed()
    assert found.name == name and found.classes == listing.classes
    assert len(found.classes) == classes
    assert found.train.labels.bincount().tolist() == [train] * classes
    assert found.test.labels.bincount().tolist() == [test] * classes
    assert listing.counts() == ([train] * classes, [test] * classes)
    for split, part in ((found.train, listing.train), (found.test, listing.test)):
        assert split.labels.tolist() == part.labels.tolist()


def test_cub_follows_its_text_files(roots):
    root = roots["cub"]
    lines = {name: (root / f"{name}.txt").read_text().split() for name in ("images", "classes")}
    labels = (root / "image_class_labels.txt").read_text().split()[1::2]
    split = (root / "train_test_split.txt").read_text().split()[1::2]
    rows = list(zip(lines["images"][1::2], labels, split, strict=True))
    expected = [[(f"images/{f}", int(k) - 1) for f, k, s in rows if s == it] for it in "10"]
    assert listed_files(loader("cub", root)) == expected
    names = loader("cub", root).listed().classes
    assert names == ("Black footed Albatross", "Laysan Albatross", "Sooty Albatross")


def test_cub_takes_the_split_from_the_file_not_from_the_order(tmp_path):
    root = replica.cub(tmp_path / "cub", classes=2, train=2, test=2)
    file = root / "train_test_split.txt"
    file.write_text("".join(f"{i} {i % 2}\n" for i in range(8, 0, -1)))  # in another order, too
    train, test = listed_files(loader("cub", root))
    assert [name[-15:-11] for name, _ in train] == ["0001", "0003"] * 2
    assert [name[-15:-11] for name, _ in test] == ["0002", "0004"] * 2


def test_cars_are_what_torchvision_reads(tmp_path):
    root = replica.cars(tmp_path / "stanford_cars")
    found = loader("cars", root).listed()
    for part, own in zip(("train", "test"), listed_files(loader("cars", root)), strict=True):
        theirs = torchvision.StanfordCars(tmp_path, split=part)
        assert [(str(root / name), label) for name, label in own] == theirs._samples
        assert list(found.classes) == theirs.classes
    assert found.classes[0] == "AM General Hummer SUV 2000"


def test_eurosat_is_what_torchvision_reads(tmp_path):
    root = replica.eurosat(tmp_path / "eurosat")
    theirs = torchvision.EuroSAT(tmp_path)
    train, test = listed_files(loader("eurosat", root))
    ours = sorted((str(root / name), label) for name, label in train + test)
    assert ours == sorted(theirs.samples)
    assert not {name for name, _ in train} & {name for name, _ in test}
    assert theirs.classes == ["AnnualCrop", "Forest", "HerbaceousVegetation"]
    names = loader("eurosat", root).listed().classes
    assert names == ("annual crop", "forest", "herbaceous vegetation")


def test_imagenet_is_chosen_by_synset_in_the_order_of_the_list(tmp_path):
    others = ["n01440764", "n03888257", "n12768682"]  # before, between and after
    root = replica.imagenet(tmp_path / "imagenet", sorted([*FRUIT, *others]))
    train, test = listed_files(loader("imagefruit", root))
    for part, own in (("train", train), ("val", test)):
        assert {(name.split("/")[0], name.split("/")[1], label) for name, label in own} == {
            (part, synset, k) for k, synset in enumerate(FRUIT)
        }
    assert len(train) == 40 and len(test) == 20


def test_the_two_lists_of_imagenet100_share_eight_classes(tmp_path):
    cmc, fgl = (loader("imagenet100", tmp_path, class_list=it).classes() for it in ("cmc", "fgl"))
    assert len(cmc) == len(fgl) == 100 and len(cmc.keys() & fgl.keys()) == 8
    root = replica.imagenet(tmp_path / "imagenet", fgl, train=1, test=1)
    found = loader("imagenet100", root, class_list="fgl").load()
    assert found.classes == tuple(fgl.values()) and len(found.train) == 100
    assert len(loader("imagenet100", root, class_list="cmc").problems()) == 2


def test_grey_and_cmyk_images_of_imagenet_become_rgb(roots):
    it = loader("imagefruit", roots["imagefruit"])
    found = it.load()
    grey, cmyk = found.train.images[[1]][0], found.train.images[[2]][0]
    assert torch.equal(grey[0], grey[1]) and torch.equal(grey[0], grey[2])
    plain = torch.from_numpy(decoded(it.root / it.listed().files[0], 32))
    for image in (cmyk, plain):
        assert not torch.equal(image[0], image[1])
    # The same colours but for the noise and the stripes' place: of one class.
    assert (cmyk.float().mean((1, 2)) - plain.float().mean((1, 2))).abs().max() < 25


def test_the_five_data_sets_of_the_paper_load_from_replicas(tmp_path):
    roots = replica.paper(tmp_path, train=2, test=1)
    assert list(roots) == list(load("paper").datasets)
    for name, root in roots.items():
        its = load("paper").datasets[name]
        small = {"root": str(root), "complete": False, "image_side": 8}
        found = datasets.load(name, its.model_copy(update=small), tmp_path / "packed")
        assert found.train.labels.bincount().tolist() == [2] * len(found.classes)
        assert found.test.labels.bincount().tolist() == [1] * len(found.classes)


@pytest.mark.parametrize("name", ["cub", "imagefruit"])
def test_images_of_a_part_can_be_drawn_by_seed(roots, name):
    def labels(**changes):
        listing = loader(name, roots[name], **changes).listed()
        return [[listing.files[row] for row in part.rows] for part in listing.parts]

    (all_train, all_test), (few, test), (more, _) = (
        labels(**changes) for changes in ({}, {"train_per_class": 2}, {"train_per_class": 3})
    )
    assert set(few) < set(more) < set(all_train) and test == all_test
    assert set(labels(train_per_class=2, split_seed=1)[0]) != set(few)
    train, held_out = labels(validation_share=0.25)
    assert set(train) | set(held_out) == set(all_train)
    assert len(held_out) == len(all_train) // 4
    both = labels(validation_share=0.34, train_per_class=3)
    assert set(both[0]) | set(both[1]) == set(more)


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
