"""`make plan` before there is any data set or model, and what it says of that."""

import pytest
import torch

from regl_core.engine.runner import closure
from regl_core.engine.store import Store
from regl_core.params import ROOT, load
from regl_core.partition import Dirichlet, SingleLabel
from regl_core.plan.dry_run import Outline
from regl_core.plan.planning import plan_notebooks
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
def outline(tmp_path):
    return Outline(tmp_path)


def stage(outline, dataset, method="ReGL (TF)", partition=None, settings=PAPER):
    clients = settings.datasets[dataset].clients
    skewed = partition or Dirichlet(beta=0.5, clients=clients)
    run = Run(dataset=dataset, partition=skewed, method=method, seed=0, settings=settings)
    return run.stage(outline)


@pytest.mark.parametrize("name", IMAGES)
def test_a_missing_data_set_has_its_published_size(outline, name):
    trained = stage(outline, name)
    classes, train, test = IMAGES[name]
    side = 64 if name == "eurosat" else 224
    size = trained.source.size
    assert (size.classes, size.train, size.test, size.side) == (classes, train, test, side)
    assert sum(map(len, trained.parts)) == train
    assert len(trained.synthetic) == PAPER.datasets[name].clients
    per_class = PAPER.datasets[name].synthetic_per_class
    assert trained.count() == train + classes * per_class * len(trained.synthetic)
    assert any(name in note and "published numbers" in note for note in outline.notes)
    assert any(f"datasets.{name}.root" in text for text in outline.lacking)
    assert outline.unpacked == {name: (train + test) * 3 * side**2}


def test_as_many_single_label_clients_as_classes(outline):
    trained = stage(outline, "cub", partition=SingleLabel())
    assert len(trained.parts) == 200 and {len(part) for part in trained.parts} <= {29, 30}


def test_what_is_missing_twice_is_not_taken_for_the_same(outline):
    """Neither of two data sets, nor two cuts or sizes of one, nor two foundations share a key."""
    held_out = PAPER.held_out(["cub"], 0.1)
    small = PAPER.altered({"datasets.cub.image_side": 112})
    other = PAPER.altered({"foundation.name": "someone/else"})
    several = [
        stage(outline, "cub"),
        stage(outline, "cars"),
        *(stage(outline, "cub", settings=its) for its in (held_out, small, other)),
    ]
    assert len({it.key for it in several}) == len(several)
    images = [it.synthetic[0][0] for it in several]
    # Images depend on names of classes, side and foundation, and on no image of the data set.
    assert images[0].key == images[2].key
    assert len({it.key for it in images}) == 4
    assert sum("foundation.name" in text for text in outline.lacking) == 2


def test_runs_share_what_they_share_where_data_is_there(outline):
    runs = [stage(outline, "eurosat", method) for method in ("FedAvg", "ReGL (TF)", "ReGL (FT)")]
    fedavg, drawn, tuned = runs
    assert fedavg.parts is drawn.parts is tuned.parts
    assert tuned.synthetic[0][0].tuned.vanilla.key == drawn.synthetic[0][0].key
    shared = closure([drawn]).keys() & closure([tuned]).keys()
    assert len(shared) == len(tuned.parts)  # each client's first images


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> str:
    """What the documented first step for one GPU is told."""
    store = Store(tmp_path_factory.mktemp("store"))
    text = plan_notebooks(["table2"], "paper", ONE, store)
    assert not list(store.root.iterdir())
    return text


def rows(text: str, table: int) -> dict[str, dict[str, str]]:
    """The rows of one of the tables by their first cell; names of columns with a space joined."""
    head, *lines = text.split("\n\n")[table].splitlines()
    for unit in ("disk", "GPU", "RAM"):
        head = head.replace(f"{unit} GB", f"{unit}-GB")
    return {line.split()[0]: dict(zip(head.split(), line.split(), strict=False)) for line in lines}


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_the_first_step_is_planned_before_there_is_anything(text):
    row = rows(text, 0)["table2"]
    methods, betas = len(PAPER.methods), len(PAPER.betas)
    assert int(row["runs"]) == (methods - 1) * betas + 1
    # Five clients and thirty pieces: once untuned, and tuned for each of two betas.
    kinds = rows(text, 1)
    assert (int(kinds["Vanilla"]["unique"]), int(kinds["Tuned"]["unique"])) <= (150, 10)
    assert int(kinds["Trained"]["missing"]) == int(row["runs"])
    assert 1 < number(row["GPU-hours"]) < 1000
    # Images of 64 pixels: ten classes, 3,000 of each, five clients, three times.
    drawn = 3 * 64**2 * 10 * 3000 * 5 * 3 / 1e9
    assert drawn * 0.9 < number(row["disk-GB"]) < drawn * 1.6
    # All three models in bfloat16 are 10.5 GB, with what a batch takes besides.
    assert 12 < number(row["GPU-GB"]) < 80 and 5 < number(row["RAM-GB"]) < 64


def test_it_is_said_what_is_missing_and_what_stands_in(text):
    assert "data set eurosat: not whole here: planned with its published numbers, 27,000" in text
    assert "model Salesforce/blip2-opt-2.7b: not at hand, planned with the architecture of" in text
    assert "before it can run: datasets.eurosat.root" in text
    assert "before it can run: foundation.captioner" in text
    if not torch.cuda.is_available():
        assert 'before it can run: training.device: "cuda" was asked for' in text


def test_everything_is_said_once(text):
    said = [line for line in text.splitlines() if line.startswith("before it can run")]
    assert len(said) > 3 and len(said) == len(set(said))


def test_no_assumption_is_called_a_measurement(text):
    """As long as no GPU is measured, here or in tools/bench/results."""
    if (ROOT / "tools/bench/results/gpu.csv").exists() and "NVIDIA" in (
        ROOT / "tools/bench/results/gpu.csv"
    ).read_text():
        pytest.skip("a GPU was measured and is shipped")
    known = [line for line in text.split("\n\n")[2].splitlines()[1:]]
    assert known and all("assumed, not measured" in line for line in known)
    assert "0 % of the time rests on measurements" in text


def test_other_data_sets_and_seeds_cost_nothing_that_is_not_asked_for(tmp_path):
    store = Store(tmp_path)
    two = plan_notebooks(["table3"], "paper", {**ONE, "seeds": [0, 1]}, store)
    one = plan_notebooks(["table3"], "paper", ONE, store)
    hours = [number(rows(text, 0)["all"]["GPU-hours"]) for text in (one, two)]
    assert hours[1] == pytest.approx(2 * hours[0], rel=0.02)
    for name in IMAGES.keys() - {"eurosat"}:
        assert name not in two
