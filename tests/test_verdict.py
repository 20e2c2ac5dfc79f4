"""What is said of what is given away follows from paired differences."""

import math

import pytest
from toy_exposed import FT, LOUD, TF, USUAL, rows

from regl_core.privacy.findings import ADAPTER, IMAGES, QUESTIONS, changes, conclusion, excess

FEATURES, PIXELS = IMAGES


def said(values: dict) -> dict[str, str]:
    """The lines of the conclusion, by what stands before their first colon."""
    lines = conclusion(rows(values), USUAL).splitlines()
    return {line.split(":")[0].strip(" -"): line for line in lines}


def about_images(values: dict) -> list[str]:
    lines = conclusion(rows(values), USUAL).splitlines()
    return [line for line in lines if line.startswith("- Tuned images")]


def test_images_are_held_against_those_of_the_untuned_model_for_the_same_client():
    assert excess(rows(LOUD), FEATURES, USUAL).tolist() == [9, 10, 11]
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


def test_a_client_without_a_control_is_left_out():
    more = LOUD | {("images", FT, USUAL, "features_own_first_pct"): [[39.0, 99.0], 50.0, 61.0]}
    assert excess(rows(more), FEATURES, USUAL).tolist() == [9, 10, 11]
    assert "50.0 %, 40.0 % of" in about_images(more)[0]


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
    assert conclusion(rows(LOUD), USUAL).splitlines()[-1] == (
        "**What to turn down.** For the images: strength 0.4; For the adapter: 10 steps."
    )


def test_weights_are_compared_with_the_adapter_of_the_same_client_for_each_method():
    lines = said(LOUD)
    assert lines["FedAvg"].endswith("not decided") and "- FedAvg: −0.020" in lines["FedAvg"]
    assert lines["ReGL (TF)"].endswith("the weights give away less")
    assert "+0.110, 95 % interval +0.085 to +0.135" in lines["ReGL (FT)"]
    assert lines["ReGL (FT)"].endswith("the weights give away more")


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


def test_trials_on_two_seeds_are_told_and_decide_nothing():
    few = {its: own if its[2] in (USUAL, "untuned") else own[:2] for its, own in LOUD.items()}
    lines = said(few)
    assert "−0.100, 2 clients of 2 seeds" in lines["10 steps instead"]
    assert lines["10 steps instead"].endswith("not decided, too few seeds")
    last = conclusion(rows(few), USUAL).splitlines()[-1]
    assert last == "**What to turn down.** Not decided: none of the trials is sure to help."


def test_too_few_seeds_decide_nothing():
    few = {its: [[own] * 9 for own in seeds[:2]] for its, seeds in LOUD.items()}
    lines = conclusion(rows(few), USUAL).splitlines()
    assert sum("Not decided: too few seeds." in line for line in lines) == len(QUESTIONS)
    assert not any("nan" in line for line in lines)


def test_a_way_is_compared_on_the_clients_that_have_both():
    more = LOUD | {("adapter", FT, USUAL, "auc"): [0.7, 0.72, [0.74, 0.1]]}
    found = changes(rows(more), ADAPTER, USUAL)
    assert list(found) == ["10 steps", "160 steps", "rank 2"]
    assert found["10 steps"].tolist() == pytest.approx([-0.1] * 3)


def test_only_images_have_a_control_that_is_measured():
    assert [question.what for question in QUESTIONS if math.isnan(question.nothing)] == [
        "images",
        "images",
    ]
