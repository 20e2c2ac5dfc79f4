"""`make plan` before there is any data set or model, and what it says of that."""

import re

import pytest
import torch

from regl_core.engine import Store
from regl_core.params import load
from regl_core.partition import Dirichlet
from regl_core.plan import DryRun, told
from regl_core.press.grids import grids
from regl_core.runs import Run

PAPER = load("paper", {"datasets": ["imagefruit", "imagenet100", "cub", "cars", "eurosat"]})
ONE = {"datasets": ["eurosat"], "seeds": [0]}
IMAGES = {  # classes, training and test images, as published; of EuroSAT a fifth is for test
    "imagefruit": (10, 13000, 500),
    "imagenet100": (100, 130000, 5000),
    "cub": (200, 5994, 5794),
    "cars": (196, 8144, 8041),
    "eurosat": (10, 21600, 5400),
}


@pytest.fixture
def built(tmp_path):
    return DryRun(tmp_path)


def stage(built, dataset, settings=PAPER):
    skewed = Dirichlet(beta=0.5, clients=settings.datasets[dataset].clients)
    how = {"partition": skewed, "method": "ReGL (TF)", "seed": 0, "settings": settings}
    return Run(dataset=dataset, **how).stage(built)


@pytest.mark.parametrize("name", IMAGES)
def test_a_missing_data_set_has_its_published_size(built, name):
    trained = stage(built, name)
    classes, train, test = IMAGES[name]
    side = 64 if name == "eurosat" else 224
    size = trained.source.size
    assert (size.classes, size.train, size.test, size.side) == (classes, train, test, side)
    assert sum(map(len, trained.parts)) == train
    assert len(trained.synthetic) == PAPER.datasets[name].clients
    per_class = PAPER.datasets[name].synthetic_per_class
    assert trained.count() == train + classes * per_class * len(trained.synthetic)
    assert any(name in note and "published numbers" in note for note in built.notes)
    assert any(f"datasets.{name}.root" in text for text in built.lacking)
    assert built.unpacked == {name: (train + test) * 3 * side**2}


def test_what_is_missing_twice_is_not_taken_for_the_same(built):
    """Neither of two data sets, nor two cuts or sizes of one, nor two foundations share a key."""
    held_out = PAPER.held_out(["cub"], 0.1)
    small = PAPER.altered({"datasets.cub.image_side": 112})
    other = PAPER.altered({"foundation.name": "someone/else"})
    several = [
        stage(built, "cub"),
        stage(built, "cars"),
        *(stage(built, "cub", settings=its) for its in (held_out, small, other)),
    ]
    assert len({it.key for it in several}) == len(several)
    images = [it.synthetic[0][0] for it in several]
    # Images depend on names of classes, side and foundation, and on no image of the data set.
    assert images[0].key == images[2].key
    assert len({it.key for it in images}) == 4
    assert sum("foundation.name" in text for text in built.lacking) == 2


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> str:
    """What the documented first step for one GPU is told."""
    store = Store(tmp_path_factory.mktemp("store"))
    text = planned(["table2"], "paper", ONE, store)
    assert not list(store.root.iterdir())
    return text


def planned(names, profile, changes, store) -> str:
    built = DryRun(store.root / "packed")
    asked = grids(names, profile, changes, pipeline=built)
    stages = {name: grid.stages for name, grid in asked.items()}
    return told(stages, built, load(profile, changes), store)


def cells(text: str, first: str) -> list[str]:
    """The cells of the line that begins with `first`."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{first} ")]
    return re.split(r" {2,}", line)[1:]


def test_the_first_step_is_planned_before_there_is_anything(text):
    runs, _, missing, _, disk = cells(text, "table2")
    methods, betas = len(PAPER.methods), len(PAPER.betas)
    assert int(runs) == (methods - 1) * betas + 1
    # Five clients and thirty pieces: once untuned, and tuned for each of two betas.
    assert 3 * 140 < int(missing) - int(runs) <= 3 * 150 + 2 * 10
    # Images of 64 pixels: ten classes, 3,000 of each, five clients, three times.
    drawn = 3 * 64**2 * 10 * 3000 * 5 * 3 / 1e9
    assert drawn * 0.9 < float(disk.removesuffix(" GB")) < drawn * 1.6


def test_it_is_said_what_is_missing_and_what_stands_in(text):
    answer = text.splitlines()[0]
    assert "to download: stable-diffusion-v1-5/stable-diffusion-v1-5, openai/clip" in answer
    assert "missing: datasets.eurosat.root" in answer
    assert "data set eurosat: not whole here: planned with its published numbers, 27,000" in text
    assert "before it can run: datasets.eurosat.root" in text
    if not torch.cuda.is_available():
        assert 'before it can run: training.device: "cuda" was asked for' in text
        assert "training.device" in answer
    said = [line for line in text.splitlines() if line.startswith("before it can run")]
    assert len(said) > 3 and len(said) == len(set(said))


def test_what_is_not_measured_is_not_made_up(text):
    if torch.cuda.is_available():
        pytest.skip("a GPU could have been measured here")
    unknown = "not measured here: make plan CALIBRATE=1"
    assert text.startswith(f"time: {unknown}; what is known takes")
    assert cells(text, "trained: resnet34 64, 64 pixels, bfloat16")[1:] == ["?", "?", unknown]
    # The reader that has no GPU plans with a published figure, and is told whose.
    assert cells(text, "denoised: stable-diffusion-v1-5/stable-diffusion-v1-5, bfloat16")[
        3
    ].startswith("NVIDIA A100, published: ")


def test_other_data_sets_and_seeds_cost_nothing_that_is_not_asked_for(tmp_path):
    store = Store(tmp_path)
    two = planned(["table3"], "paper", {**ONE, "seeds": [0, 1]}, store)
    one = planned(["table3"], "paper", ONE, store)
    number = [
        int(cells(it, "trained: resnet34 64, 64 pixels, bfloat16")[0].replace(",", ""))
        for it in (one, two)
    ]
    assert number[1] == pytest.approx(2 * number[0], rel=0.02)
    for name in IMAGES.keys() - {"eurosat"}:
        assert name not in two
