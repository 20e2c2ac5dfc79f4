"""What is looked at, the rows it gives, and what the notebook says of them."""

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from regl_core.disclosure import QUESTIONS as ASKED
from regl_core.disclosure import Estimate, changes, conclusion, panel, table
from regl_core.drawing import leaks
from regl_core.exposure import COLUMNS, Adapter, Images, Sent, look, owners
from regl_core.params import ROOT, load
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.planning import grid_of
from regl_core.runs import Run
from regl_core.stages.tailored import Tailored
from regl_core.store import Store

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


def rows(values: dict[tuple[str, str, str, str], list[float]]) -> pd.DataFrame:
    """A row per client, by what, method, way and measure."""
    found = [
        ("digits", "beta=0.01", method, 0, client, what, way, measure, value)
        for (what, method, way, measure), own in values.items()
        for client, value in enumerate(own)
    ]
    return pd.DataFrame(found, columns=COLUMNS)


USUAL = "as in params"
FT, TF = "ReGL (FT)", "ReGL (TF)"
LOUD = {  # images and adapter give something away, updates do not
    ("images", TF, "untuned", "features_own_first_pct"): [50.0, 49.0, 51.0],
    ("images", TF, "untuned", "pixels_own_first_pct"): [50.0, 49.0, 51.0],
    ("images", FT, USUAL, "features_own_first_pct"): [60.0, 61.0, 62.0],
    ("images", FT, USUAL, "pixels_own_first_pct"): [40.0, 50.0, 60.0],
    ("images", FT, "strength 0.4", "features_own_first_pct"): [55.0, 56.0, 57.0],
    ("adapter", FT, USUAL, "auc"): [0.7, 0.72, 0.74],
    ("adapter", FT, "10 steps", "auc"): [0.6, 0.62, 0.64],
    ("adapter", FT, "160 steps", "auc"): [0.9, 0.92, 0.94],
    ("adapter", FT, "rank 2", "auc"): [0.6, 0.72, 0.84],
    ("update", "FedAvg", USUAL, "auc"): [0.4, 0.5, 0.6],
    ("update", TF, USUAL, "auc"): [0.40, 0.41, 0.42],
    ("update", FT, USUAL, "auc"): [0.5, 0.5, 0.5],
}


def test_an_estimate_is_the_mean_with_its_t_interval():
    its = Estimate.of([1.0, 2.0, 3.0])
    assert its.mean == 2 and its.clients == 3
    assert its.high == pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-4)
    assert its.told(".1f") == "2.0 [-0.5, 4.5]"
    assert Estimate.of([1.0, 3.0]).told(".1f") == "2.0"  # of two, no interval


def test_the_verdict_says_what_is_given_away_and_what_helps():
    lines = conclusion(rows(LOUD), USUAL).splitlines()
    starts = {line.split(":")[0]: line for line in lines}
    by_features, by_pixels = (line for line in lines if line.startswith("- Drawn images"))
    assert "61 %, 95 % interval 59 to 63 over 3 clients" in by_features
    assert "50 % if nothing were given away, 50 % for the untuned model" in by_features
    assert by_features.endswith("**Something is given away.**")
    assert by_pixels.endswith("**Not decided: up to 75 % is possible.**")
    assert starts["    - 10 steps"].endswith("turns it down")
    assert starts["    - 160 steps"].endswith("turns it up")
    assert starts["    - rank 2"].endswith("not decided")
    assert starts["- Weights sent, ReGL (TF)"].endswith(
        "**Nothing is seen to be given away in this way.**"
    )
    assert lines[-1] == "**What to turn down.** images: strength 0.4; adapter: 10 steps."


def test_with_nothing_given_away_nothing_is_to_be_turned_down():
    quiet = {its: [0.5 if its[-1] == "auc" else 50.0] * 3 for its in LOUD}
    lines = conclusion(rows(quiet), USUAL).splitlines()
    assert not any("Something" in line or line.startswith("    ") for line in lines)
    assert lines[-1].startswith("**What to turn down.** none of the trials")


def test_too_few_clients_decide_nothing():
    few = {its: own[:2] for its, own in LOUD.items()}
    lines = conclusion(rows(few), USUAL).splitlines()
    assert sum("Not decided: too few clients." in line for line in lines) == len(ASKED)


def test_a_way_is_compared_on_the_clients_that_have_both():
    more = LOUD | {("adapter", FT, USUAL, "auc"): [0.7, 0.72, 0.74, 0.1]}
    (question,) = (it for it in ASKED if it.what == "adapter")
    found = changes(rows(more), question, USUAL)
    assert list(found) == ["10 steps", "160 steps", "rank 2"]
    assert found["10 steps"].clients == 3
    assert found["10 steps"].mean == pytest.approx(-0.1)


def test_the_table_has_a_row_for_each_thing_looked_at():
    found = table(rows(LOUD), {"auc": "AUC"})
    assert found.index.names == ["what", "method", "way"]
    assert found.loc[("adapter", FT, "10 steps"), "AUC"] == "0.62 [0.57, 0.67]"
    assert (found["clients"] == 3).all() and len(found) == 7


def test_the_picture_shows_every_mean_with_its_interval():
    frame = panel(rows(LOUD), ["adapter", "update"], {"auc": "{what}"})
    figure = leaks.intervals({"AUC": frame}, {"AUC": 0.5})
    (axes,) = figure.axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    sent = [f"sent by {method}" for method in ("FedAvg", TF, FT)]
    assert names == [USUAL, "10 steps", "160 steps", "rank 2", *sent]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "nothing given away",
        "adapter",
        "update",
    ]
    bars = [bar for c in axes.containers for bar in c.lines[2][0].get_segments()]
    low, high = bars[0][:, 0]
    its = Estimate.of(LOUD["adapter", FT, USUAL, "auc"])
    assert (low, high) == (pytest.approx(its.low), pytest.approx(its.high))
    assert axes.get_xlabel() == "AUC"


def test_no_interval_of_the_picture_goes_below_zero():
    few = {("images", FT, USUAL, "pixels_nearer_5_pct"): [0.0, 0.0, 3.0]}
    frame = panel(rows(few), ["images"], {"pixels_nearer_5_pct": "pixels"})
    assert frame["low"].iloc[0] < 0
    (axes,) = leaks.intervals({"%": frame}, {"%": 5}).axes
    ((low, high),) = [bar[:, 0] for bar in axes.containers[0].lines[2][0].get_segments()]
    assert low == 0 and high == pytest.approx(frame["high"].iloc[0])
    assert axes.get_xlim()[0] == 0


def test_a_tuned_image_is_one_of_the_first_piece():
    stage = Images(way="", client=0, **HERE).stage(Pipeline())
    assert isinstance(stage.made.images, Tailored) and stage.made.images.start == 0
