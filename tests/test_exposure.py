"""What is looked at, and the rows it gives."""

import json
from functools import partial

import pytest
import torch
from safetensors.torch import save_file

from regl_core.params import ROOT, load
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.press.grids import grid_of
from regl_core.privacy import AdapterMembership, ImageCopying, UpdateMembership, owners
from regl_core.privacy.exposure import COLUMNS
from regl_core.runs import Run
from regl_core.stages import LoraImages

SMOKE = load("smoke")
THREE = Dirichlet(beta=0.5, clients=3)
HERE = {"dataset": "digits", "partition": THREE, "seed": 0, "settings": SMOKE}
copying = partial(ImageCopying, way="as in params", **HERE)
adapter = partial(AdapterMembership, way="as in params", **HERE)
update = partial(UpdateMembership, way="as in params", **HERE)


@pytest.mark.parametrize("profile", ["smoke", "desk"])
def test_the_grid_is_every_way_for_every_client_that_has_images(profile):
    settings = load(profile)
    its, items = settings.privacy, grid_of(ROOT / "notebooks/privacy.ipynb", profile, {})
    skew = Dirichlet(beta=min(settings.betas), clients=settings.datasets["digits"].clients)
    every = owners("digits", skew, settings.seeds, settings)
    some = [pair for pair in every if pair[0] in its.seeds]
    adapters = [item for item in items if isinstance(item, AdapterMembership)]
    images = [item for item in items if isinstance(item, ImageCopying)]
    tuned = [item for item in images if item.drawn == "lora"]
    trials = len(its.steps) + len(its.ranks)
    assert len(adapters) == len(every) + len(some) * trials
    assert len(tuned) == len(adapters) + len(some) * len(its.strengths)
    assert len({(item.way, item.seed, item.client) for item in tuned}) == len(tuned)
    untuned = [item for item in images if item.drawn == "vanilla"]
    assert [(item.seed, item.client) for item in untuned] == every
    sent = [item for item in items if isinstance(item, UpdateMembership)]
    assert len(sent) == 3 * len(settings.seeds)
    assert len(items) == len(adapters) + len(images) + len(sent)
    # A rank is tried at the same scale.
    loras = [item.settings.lora for item in adapters]
    assert {its.alpha / its.rank for its in loras} == {1.0}
    assert len({its.rank for its in loras}) == 1 + len(its.ranks)


def test_it_looks_at_the_models_and_images_of_table_2():
    pipeline = Pipeline()
    for method, drawn in (("ReGL (TF)", "vanilla"), ("ReGL (FT)", "lora")):
        theirs = Run(method=method, **HERE).stage(pipeline)
        for client in range(3):
            item = copying(client=client, drawn=drawn).stage(pipeline)
            assert item.made.images.key == theirs.synthetic[client][0].key
            assert item.indices == theirs.parts[client]
        assert update(method=method).stage(pipeline).trained.key == theirs.key
    images = copying(client=0).stage(pipeline).made.images
    assert isinstance(images, LoraImages) and images.start == 0


@pytest.mark.parametrize(("drawn", "method"), [("lora", "ReGL (FT)"), ("vanilla", "ReGL (TF)")])
def test_the_rows_of_images_are_the_measures_of_both_spaces(drawn, method, tmp_path):
    measures = {"features": {"made": 0.5, "own_first_pct": 60.0}, "pixels": {"made": 8.0}}
    (tmp_path / "neighbours.json").write_text(json.dumps(measures))
    found = copying(client=1, drawn=drawn).result(tmp_path)
    run = ["digits", "beta=0.5", method, 0, 1, "images", "as in params"]
    assert list(found) == COLUMNS and found.values.tolist() == [
        [*run, "features_made", 0.5],
        [*run, "features_own_first_pct", 60.0],
        [*run, "pixels_made", 8.0],
    ]


@pytest.mark.parametrize(
    ("item", "kind", "prefix"),
    [(adapter(client=4), ["ReGL (FT)", 4, "adapter"], ""),
     (update(method="FedAvg"), ["FedAvg", 4, "update"], "4.")],
)  # fmt: skip
def test_the_numbers_of_an_attack_are_those_of_its_scores(item, kind, prefix, tmp_path):
    scores = {"members": torch.tensor([2.0, 3.0]), "strangers": torch.tensor([1.0, 2.5])}
    named = {prefix + name: own for name, own in scores.items()}
    save_file(named, tmp_path / "scores.safetensors")
    method, client, what = kind
    run = ["digits", "beta=0.5", method, 0, client, what, "as in params"]
    found = item.result(tmp_path)
    assert found.values.tolist() == [[*run, "auc", 0.75], [*run, "tpr_pct", 50.0]]
