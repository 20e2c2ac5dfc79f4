"""What is looked at, and the rows it gives."""

import pytest
import torch
from safetensors.torch import save_file

from regl_core.engine.store import Store
from regl_core.params import ROOT, load
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.press.grids import grid_of
from regl_core.privacy.exposure import COLUMNS, Adapter, Images, Sent, look, owners
from regl_core.runs import Run
from regl_core.stages.lora_images import LoraImages

SMOKE = load("smoke")
THREE = Dirichlet(beta=0.5, clients=3)
HERE = {"dataset": "digits", "partition": THREE, "seed": 0, "settings": SMOKE}


def grid(profile: str) -> list:
    return grid_of(ROOT / "notebooks/privacy.ipynb", profile, {})


@pytest.mark.parametrize("profile", ["smoke", "desk"])
def test_the_grid_is_every_way_for_every_client_that_has_images(profile):
    settings = load(profile)
    items, its = grid(profile), settings.privacy
    skew = Dirichlet(beta=min(settings.betas), clients=settings.datasets["digits"].clients)
    every = owners("digits", skew, settings.seeds, settings)
    some = [pair for pair in every if pair[0] in its.seeds]
    adapters = [item for item in items if isinstance(item, Adapter)]
    tuned = [item for item in items if isinstance(item, Images) and item.drawn == "lora"]
    trials = len(its.steps) + len(its.ranks)
    assert len(adapters) == len(every) + len(some) * trials
    assert len(tuned) == len(adapters) + len(some) * len(its.strengths)
    assert len({(item.way, item.seed, item.client) for item in tuned}) == len(tuned)
    untuned = [item for item in items if isinstance(item, Images) and item.drawn == "vanilla"]
    assert [(item.seed, item.client) for item in untuned] == every
    sent = [item for item in items if isinstance(item, Sent)]
    assert len(sent) == 3 * len(settings.seeds)
    assert len(items) == len(adapters) + len(tuned) + len(untuned) + len(sent)


def test_it_looks_at_the_models_and_images_of_table_2():
    pipeline = Pipeline()
    for method, drawn in (("ReGL (TF)", "vanilla"), ("ReGL (FT)", "lora")):
        theirs = Run(method=method, **HERE).stage(pipeline)
        for client in range(3):
            item = Images(way="", client=client, drawn=drawn, **HERE).stage(pipeline)
            assert item.made.images.key == theirs.synthetic[client][0].key
            assert item.indices == theirs.parts[client]
        sent = Sent(way="", method=method, **HERE).stage(pipeline)
        assert sent.trained.key == theirs.key


def test_a_rank_is_tried_at_the_same_scale():
    ranks = {
        item.settings.lora.rank: item.settings.lora.alpha / item.settings.lora.rank
        for item in grid("desk")
        if isinstance(item, Adapter)
    }
    assert len(ranks) == 2 and set(ranks.values()) == {1.0}


def test_rows_of_everything_that_is_looked_at(tmp_path):
    items = [
        Adapter(way="as in params", client=0, **HERE),
        Images(way="as in params", client=0, **HERE),
        Images(way="untuned", client=0, drawn="vanilla", **HERE),
        Sent(way="as in params", method="FedAvg", **HERE),
    ]
    rows = look(items, Store(tmp_path), workers=1)
    assert list(rows) == COLUMNS and not rows["value"].isna().any()
    assert set(rows["setting"]) == {"beta=0.5"} and set(rows["dataset"]) == {"digits"}
    kinds = rows.groupby("what")["measure"].agg(set)
    assert kinds["adapter"] == kinds["update"] == {"auc", "tpr_pct"}
    names = ("made", "held_out", "nearer_1_pct", "nearer_5_pct", "own_first_pct")
    assert kinds["images"] == {f"{s}_{n}" for s in ("features", "pixels") for n in names}
    assert rows.loc[rows["what"] == "update", "client"].nunique() == 3
    assert rows.loc[rows["measure"] == "auc", "value"].between(0, 1).all()


def test_the_numbers_of_an_adapter_are_those_of_its_scores(tmp_path):
    scores = {"members": torch.tensor([2.0, 3.0]), "strangers": torch.tensor([1.0, 2.5])}
    save_file(scores, tmp_path / "scores.safetensors")
    rows = list(Adapter(way="w", client=4, **HERE).rows(tmp_path))
    assert rows == [
        ("ReGL (FT)", 4, "adapter", "w", "auc", 0.75),
        ("ReGL (FT)", 4, "adapter", "w", "tpr_pct", 50.0),
    ]


def test_a_tuned_image_is_one_of_the_first_piece():
    stage = Images(way="", client=0, **HERE).stage(Pipeline())
    assert isinstance(stage.made.images, LoraImages) and stage.made.images.start == 0
