"""What is said of what is given away: means over seeds, verdicts on paired differences."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import pytest

from regl_core.privacy.exposure import COLUMNS
from regl_core.privacy.findings import CLIENT, QUESTIONS, Estimate, conclusion, panel, table
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


def said(values: Values) -> dict[str, str]:
    """The lines of the conclusion, by what stands before their first colon."""
    lines = conclusion(rows(values), USUAL).splitlines()
    return {line.split(":")[0].strip(" -"): line for line in lines}


def about_images(values: Values) -> list[str]:
    lines = conclusion(rows(values), USUAL).splitlines()
    return [line for line in lines if line.startswith("- Tuned images")]


def last(values: Values) -> str:
    return conclusion(rows(values), USUAL).splitlines()[-1]


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
    assert found.loc[("adapter", FT, "10 steps"), "AUC"] == "0.62 [0.57, 0.67]"
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


def test_images_are_held_against_those_of_the_untuned_model_for_the_same_client():
    by_features, by_pixels = about_images(LOUD)
    # At 50 %, and far from one seed to the next; but each time above the control.
    assert "50.0 %, 40.0 % of the untuned model's; difference +10.0 points" in by_features
    assert "95 % interval +7.5 to +12.5, 3 clients of 3 seeds" in by_features
    assert by_features.endswith("**More often than without tuning.**")
    assert "57.0 %, 50.0 % of the untuned model's; difference +7.0 points" in by_pixels
    assert by_pixels.endswith("**Not decided: up to 33.9 points more is possible.**")


def test_images_above_a_half_say_nothing_where_the_untuned_model_is_there_too():
    same = LOUD | {
        ("images", method, way, "features_own_first_pct"): [70.0, 71.0, 72.0]
        for method, way in ((TF, "untuned"), (FT, USUAL))
    }
    assert "**Not decided" in about_images(same)[0]
    less = same | {("images", FT, USUAL, "features_own_first_pct"): [60.0, 61.0, 62.0]}
    assert about_images(less)[0].endswith("**Nothing is seen to be given away in this way.**")


def test_only_clients_that_have_both_are_compared():
    more = LOUD | {("images", FT, USUAL, "features_own_first_pct"): [[39.0, 99.0], 50.0, 61.0]}
    assert about_images(more) == about_images(LOUD)
    more = said(LOUD | {("adapter", FT, USUAL, "auc"): [0.7, 0.72, [0.74, 0.9]]})
    assert "4 clients of 3 seeds" in more["The adapter"]
    assert more["10 steps instead"] == said(LOUD)["10 steps instead"]


def test_the_verdict_says_what_is_given_away_and_what_helps():
    lines = said(LOUD)
    told = "The adapter: AUC of telling who it was tuned on: 0.720, 95 % interval 0.670 to 0.770"
    assert told in lines["The adapter"]
    assert lines["The adapter"].endswith(
        "; 0.5 if nothing were given away. **Something is given away.**"
    )
    assert "−0.100, 95 % interval −0.100 to −0.100, 3 clients" in lines["10 steps instead"]
    assert lines["10 steps instead"].endswith("less for 3 of them, more for 0: turns it down")
    assert lines["160 steps instead"].endswith("turns it up")
    assert lines["rank 2 instead"].endswith("less for 1 of them, more for 1: not decided")
    assert lines["Weights sent, ReGL (TF)"].endswith(
        "**Nothing is seen to be given away in this way.**"
    )
    assert lines["Weights sent, FedAvg"].endswith("**Not decided: up to 0.630 more is possible.**")
    # Weights are compared with the adapter of the same client, for each method.
    assert lines["FedAvg"].endswith("not decided") and "- FedAvg: −0.020" in lines["FedAvg"]
    assert lines["ReGL (TF)"].endswith("the weights give away less")
    assert "+0.110, 95 % interval +0.085 to +0.135" in lines["ReGL (FT)"]
    assert lines["ReGL (FT)"].endswith("the weights give away more")
    assert last(LOUD) == (
        "**What to turn down.** For the images: strength 0.4; For the adapter: 10 steps."
    )


def test_clients_of_one_seed_do_not_decide_by_their_number():
    """Twenty clients of each seed, all of a seed alike: as if they were one."""
    many = LOUD | {("update", "FedAvg", USUAL, "auc"): [[value] * 20 for value in (0.5, 0.8, 0.8)]}
    assert "60 clients of 3 seeds" in said(many)["Weights sent, FedAvg"]
    assert "**Not decided" in said(many)["Weights sent, FedAvg"]


def test_with_nothing_given_away_nothing_is_to_be_turned_down():
    quiet = {its: [0.5 if its[-1] == "auc" else 40.0] * 3 for its in LOUD}
    lines = conclusion(rows(quiet), USUAL).splitlines()
    assert not any("Something" in line or "instead" in line for line in lines)
    assert lines[-1].startswith("**What to turn down.** No trial is judged, for nothing is sure")


def test_too_few_seeds_are_told_and_decide_nothing():
    few = {its: own if its[2] in (USUAL, "untuned") else own[:2] for its, own in LOUD.items()}
    assert "−0.100, 2 clients of 2 seeds" in said(few)["10 steps instead"]
    assert said(few)["10 steps instead"].endswith("not decided, too few seeds")
    assert last(few) == "**What to turn down.** Not decided: none of the trials is sure to help."
    few = {its: [[own] * 9 for own in seeds[:2]] for its, seeds in LOUD.items()}
    lines = conclusion(rows(few), USUAL).splitlines()
    assert sum("Not decided: too few seeds." in line for line in lines) == len(QUESTIONS)
    assert not any("nan" in line for line in lines)
