"""Means and intervals of what is given away, and the picture of them."""

import math

import pandas as pd
import pytest
from toy_exposed import FT, LOUD, TF, USUAL, rows

from regl_core.privacy.disclosure import CLIENT, Estimate, panel, table
from regl_core.report.drawing import leaks

ADAPTER = "adapter", FT, USUAL, "auc"


def estimate(*seeds: float | list[float]) -> Estimate:
    return Estimate.of(rows({ADAPTER: seeds}).set_index(CLIENT)["value"])


def test_an_estimate_is_the_mean_with_its_t_interval():
    its = estimate(1.0, 2.0, 3.0)
    assert its.mean == 2 and its.seeds == its.clients == 3
    assert its.high == pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-4)
    assert its.told(".1f") == "2.0 [-0.5, 4.5]"


def test_a_seed_is_one_observation_however_many_clients_it_has():
    its = estimate([1.0, 1.0, 1.0, 1.0], [1.0, 3.0], 3.0)
    assert (its.mean, its.seeds, its.clients) == (2, 3, 7)
    assert (its.low, its.high) == (estimate(1.0, 2.0, 3.0).low, estimate(1.0, 2.0, 3.0).high)


def test_many_clients_of_two_seeds_have_no_interval():
    its = estimate([1.0] * 20, [3.0] * 20)
    assert math.isnan(its.low) and math.isnan(its.high) and its.told(".1f") == "2.0"


def test_the_table_has_a_row_for_each_thing_looked_at():
    found = table(rows(LOUD), {"auc": "AUC"})
    assert found.index.names == ["what", "method", "way"]
    assert found.loc[("adapter", FT, "10 steps"), "AUC"] == "0.62 [0.57, 0.67]"
    assert (found["clients"] == 3).all() and (found["seeds"] == 3).all() and len(found) == 7


def test_the_picture_shows_every_mean_with_its_interval():
    frame = panel(rows(LOUD), ["adapter", "update"], {"auc": "{what}"})
    figure = leaks.intervals({"AUC": frame}, {"AUC": ("nothing given away", 0.5)})
    (axes,) = figure.axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    sent = [f"sent by {method}" for method in ("FedAvg", TF, FT)]
    assert names == [USUAL, "10 steps", "160 steps", "rank 2", *sent]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "nothing given away",
        "adapter",
        "weights sent",
    ]
    bars = [bar for c in axes.containers for bar in c.lines[2][0].get_segments()]
    low, high = bars[0][:, 0]
    its = estimate(*LOUD[ADAPTER])
    assert (low, high) == (pytest.approx(its.low), pytest.approx(its.high))
    assert axes.get_xlabel() == "AUC"


def test_no_interval_of_the_picture_goes_below_zero():
    its = {"row": "a", "series": "pixels", "mean": 1.0, "low": -3.0, "high": 5.0}
    frame = pd.DataFrame([{**its, "value": value} for value in (0.0, 0.0, 3.0)])
    (axes,) = leaks.intervals({"%": frame}, {"%": ("chance", 5.0)}).axes
    ((low, high),) = [bar[:, 0] for bar in axes.containers[0].lines[2][0].get_segments()]
    assert (low, high) == (0.0, 5.0) and axes.get_xlim()[0] == 0


def test_the_picture_holds_images_against_the_untuned_model():
    spaces = {f"{space}_own_first_pct": space for space in ("features", "pixels")}
    frame = panel(rows(LOUD), ["images"], spaces)
    lines = {"own": ("chance", 50.0), "again": ("chance", 50.0)}
    figure = leaks.intervals({"own": frame, "again": frame}, lines, ("untuned model", "untuned"))
    first, second = (
        {
            line.get_label(): line.get_xdata()[0]
            for line in axes.lines
            if not line.get_label().startswith("_")
        }
        for axes in figure.axes
    )
    control = {"untuned model, features": 40.0, "untuned model, pixels": 50.0}
    assert first == {"chance": 50.0} | control
    assert second == {"chance": 50.0}
