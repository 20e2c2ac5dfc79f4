"""What is said of what is given away: means over seeds, verdicts on paired differences."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import pytest

from regl_core.privacy.exposure import COLUMNS
from regl_core.privacy.findings import (
    CLIENT,
    QUESTIONS,
    Estimate,
    given_away,
    panel,
    table,
    trials,
    weights_or_adapter,
)
from regl_core.report.drawing import leaks

USUAL, FT, TF = "as in params", "ReGL (FT)", "ReGL (TF)"
Values = Mapping[tuple[str, str, str, str], Sequence[float | Sequence[float]]]

LOUD: Values = {  # by features, the adapter and FT's weights give something away
    ("images", TF, "untuned", "features_own_first_pct"): [30.0, 40.0, 50.0],
    ("images", TF, "untuned", "pixels_own_first_pct"): [50.0, 50.0, 50.0],
    ("images", FT, USUAL, "features_own_first_pct"): [39.0, 50.0, 61.0],
    ("images", FT, USUAL, "pixels_own_first_pct"): [45.0, 60.0, 66.0],
    ("images", FT, "strength 0.4", "features_own_first_pct"): [34.0, 45.0, 56.0],
    ("adapter", FT, USUAL, "auc"): [0.7, 0.72, 0.74],
    ("adapter", FT, "10 steps", "auc"): [0.6, 0.62, 0.64],
    ("adapter", FT, "160 steps", "auc"): [0.9, 0.92, 0.94],
    ("adapter", FT, "rank 2", "auc"): [0.6, 0.72, 0.84],
    ("update", "FedAvg", USUAL, "auc"): [0.5, 0.8, 0.8],
    ("update", TF, USUAL, "auc"): [0.40, 0.41, 0.42],
    ("update", FT, USUAL, "auc"): [0.8, 0.83, 0.86],
}


def rows(values: Values) -> pd.DataFrame:
    """A row per client, by what, method, way and measure: of each seed one number, or several."""
    found = [
        ("digits", "beta=0.01", method, seed, client, what, way, measure, value)
        for (what, method, way, measure), seeds in values.items()
        for seed, own in enumerate(seeds)
        for client, value in enumerate(own if isinstance(own, Sequence) else [own])
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def estimate(*seeds: float | list[float]) -> Estimate:
    found = rows({("adapter", FT, USUAL, "auc"): seeds})
    return Estimate.of(found.set_index(CLIENT)["value"])


def test_an_estimate_is_the_mean_with_its_t_interval():
    its = estimate(1.0, 2.0, 3.0)
    assert its.mean == 2 and its.seeds == its.clients == 3
    assert its.high == pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-4)
    assert its.told(".1f") == "2.0 [-0.5, 4.5]"


def test_a_seed_is_one_observation_however_many_clients_it_has():
    its = estimate([1.0, 1.0, 1.0, 1.0], [1.0, 3.0], 3.0)
    assert (its.mean, its.seeds, its.clients) == (2, 3, 7)
    assert (its.low, its.high) == (estimate(1.0, 2.0, 3.0).low, estimate(1.0, 2.0, 3.0).high)
    its = estimate([1.0] * 20, [3.0] * 20)  # two seeds have no interval
    assert math.isnan(its.low) and math.isnan(its.high) and its.told(".1f") == "2.0"


def test_table_and_picture_show_every_mean_with_its_interval():
    found = table(rows(LOUD), {"auc": "AUC"})
    assert found.index.names == ["what", "method", "way"]
    assert found.loc[("adapter", FT, "10 steps"), "AUC"] == "0.620 [0.570, 0.670]"
    assert (found["clients"] == 3).all() and (found["seeds"] == 3).all() and len(found) == 7
    frame = panel(rows(LOUD), ["adapter", "update"], {"auc": "{what}"})
    (axes,) = leaks.intervals({"AUC": frame}, {"AUC": ("nothing given away", 0.5)}).axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    sent = [f"sent by {method}" for method in ("FedAvg", TF, FT)]
    assert names == [USUAL, "10 steps", "160 steps", "rank 2", *sent]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["nothing given away", "adapter", "weights sent"]
    low, high = axes.containers[0].lines[2][0].get_segments()[0][:, 0]
    its = estimate(*LOUD["adapter", FT, USUAL, "auc"])
    assert (low, high) == (pytest.approx(its.low), pytest.approx(its.high))
    its = {"row": "a", "series": "pixels", "mean": 1.0, "low": -3.0, "high": 5.0}
    frame = pd.DataFrame([{**its, "value": value} for value in (0.0, 0.0, 3.0)])
    (axes,) = leaks.intervals({"%": frame}, {"%": ("chance", 5.0)}).axes
    ((low, high),) = [bar[:, 0] for bar in axes.containers[0].lines[2][0].get_segments()]
    assert (low, high) == (0.0, 5.0) and axes.get_xlim()[0] == 0  # none goes below zero


def test_the_picture_holds_images_against_the_untuned_model():
    spaces = {f"{space}_own_first_pct": space for space in ("features", "pixels")}
    frame = panel(rows(LOUD), ["images"], spaces)
    lines = {"own": ("chance", 50.0), "again": ("chance", 50.0)}
    figure = leaks.intervals({"own": frame, "again": frame}, lines, ("untuned model", "untuned"))
    first, second = (
        {it.get_label(): it.get_xdata()[0] for it in axes.lines if it.get_label()[0] != "_"}
        for axes in figure.axes
    )
    control = {"untuned model, features": 40.0, "untuned model, pixels": 50.0}
    assert first == {"chance": 50.0} | control and second == {"chance": 50.0}


def verdicts(values: Values, ask=given_away) -> pd.DataFrame:
    return ask(rows(values), USUAL).droplevel(["method", "way"])


def test_images_are_held_against_those_of_the_untuned_model_for_the_same_client():
    found = given_away(rows(LOUD), USUAL)
    assert list(found.index) == [(what, who, USUAL, by) for what, who, by in QUESTIONS]
    # At 50 %, and far from one seed to the next; but each time above the control, by 9, 10, 11.
    by_features = found.loc["images", FT, USUAL, "features_own_first_pct"].tolist()
    assert by_features == ["+10.0 [+7.5, +12.5]", 3, 0, 3, 3, "something is given away"]
    by_pixels = found.loc["images", FT, USUAL, "pixels_own_first_pct"]
    assert by_pixels["difference"].startswith("+7.0 [") and by_pixels["verdict"] == "not decided"
    same = {
        ("images", method, way, "features_own_first_pct"): [70.0, 71.0, 72.0]
        for method, way in ((TF, "untuned"), (FT, USUAL))
    }
    assert verdicts(LOUD | same)["verdict"].iloc[0] == "not decided"  # above a half is not enough
    less = LOUD | same | {("images", FT, USUAL, "features_own_first_pct"): [60.0, 61.0, 62.0]}
    assert verdicts(less)["verdict"].iloc[0] == "nothing is seen"


def test_only_clients_that_have_both_are_compared():
    more = LOUD | {("images", FT, USUAL, "features_own_first_pct"): [[39.0, 99.0], 50.0, 61.0]}
    assert verdicts(more).iloc[0].tolist() == verdicts(LOUD).iloc[0].tolist()
    more = LOUD | {("adapter", FT, USUAL, "auc"): [0.7, 0.72, [0.74, 0.9]]}
    assert given_away(rows(more), USUAL).loc["adapter", "clients"].item() == 4
    assert trials(rows(more), USUAL).equals(trials(rows(LOUD), USUAL))


def test_the_verdict_says_what_is_given_away_and_what_helps():
    found = given_away(rows(LOUD), USUAL)["verdict"]
    assert found["adapter"].item() == found["update", FT].item() == "something is given away"
    assert found["update", TF].item() == "nothing is seen"
    assert found["update", "FedAvg"].item() == "not decided"
    tried = trials(rows(LOUD), USUAL)
    assert tried["verdict"].droplevel(["method", "measure"]).to_dict() == {
        ("images", "strength 0.4"): "turns it down",
        ("adapter", "10 steps"): "turns it down",
        ("adapter", "160 steps"): "turns it up",
        ("adapter", "rank 2"): "not decided",
    }
    assert tried.loc["adapter", FT, "rank 2", "auc"][["more", "less"]].tolist() == [1, 1]
    # Weights are compared with the adapter of the same client, for each method.
    both = weights_or_adapter(rows(LOUD), USUAL).droplevel(["what", "way", "measure"])
    assert both.loc[FT, "difference"] == "+0.110 [+0.085, +0.135]"
    assert both["verdict"].to_dict() == {
        "FedAvg": "not decided",
        TF: "the weights give away less",
        FT: "the weights give away more",
    }


def test_clients_of_one_seed_do_not_decide_by_their_number():
    """Twenty clients of each seed, all of a seed alike: as if they were one."""
    many = LOUD | {("update", "FedAvg", USUAL, "auc"): [[value] * 20 for value in (0.5, 0.8, 0.8)]}
    found = given_away(rows(many), USUAL).loc["update", "FedAvg", USUAL, "auc"]
    assert found[["seeds", "clients", "verdict"]].tolist() == [3, 60, "not decided"]


def test_too_few_seeds_decide_nothing_and_with_nothing_given_away_no_trial_is_judged():
    few = {its: own if its[2] in (USUAL, "untuned") else own[:2] for its, own in LOUD.items()}
    steps = trials(rows(few), USUAL).loc["adapter", FT, "10 steps", "auc"]
    assert steps.tolist() == ["-0.100", 0, 2, 2, 2, "not decided: too few seeds"]
    few = {its: [[own] * 9 for own in seeds[:2]] for its, seeds in LOUD.items()}
    assert (verdicts(few)["verdict"] == "not decided: too few seeds").all()
    quiet = {its: [0.5 if its[-1] == "auc" else 40.0] * 3 for its in LOUD}
    assert trials(rows(quiet), USUAL).empty and (verdicts(quiet)["verdict"] == "not decided").all()
