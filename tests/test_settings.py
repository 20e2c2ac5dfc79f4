"""Settings made of others: single changes, and where ablations are measured."""

import pytest

from regl_core.errors import ReglError
from regl_core.params import load
from regl_core.partition import Pooled
from regl_core.runs import Run

DESK = load("desk")


def test_altered_settings_are_those_loaded_with_the_changes():
    changes = {"training.rounds": 30, "lora": {"steps": 1}, "seeds": [7]}
    other = DESK.altered(changes)
    assert other == load("desk", changes)
    assert (other.profile, other.training.rounds, other.lora.steps) == ("desk", 30, 1)
    assert DESK.altered({}) == DESK == load("desk")  # and DESK stays as it was


def test_altered_settings_are_checked():
    with pytest.raises(ReglError, match=r"training\.rounds: given 0"):
        DESK.altered({"training.rounds": 0})
    with pytest.raises(ReglError, match=r"roundz: unknown key \(did you mean rounds\?\)"):
        DESK.altered({"training.roundz": 3})
    with pytest.raises(ReglError, match=r"there is no group trainin"):
        DESK.altered({"trainin.rounds": 3})


def test_ablations_are_measured_on_their_share_of_their_data_sets():
    mine = DESK.model_dump()["datasets"]["digits"]
    both = DESK.altered({"datasets": {"mine": mine}, "ablations.validation_share": 0.25})
    found = both.for_ablations()
    assert found.datasets["digits"].validation_share == 0.25
    assert found.datasets["mine"].validation_share == 0.0  # not one of ablations.datasets
    assert found.altered({"datasets.digits.validation_share": 0.0}) == both
    assert found.for_ablations() == found


def test_a_split_without_a_seed_of_its_own_follows_that_of_the_run():
    assert DESK.at(3).datasets["digits"].split_seed == 3
    fixed = DESK.altered({"datasets.digits.split_seed": 7})
    assert fixed.at(3) is fixed
    where = {"dataset": "digits", "partition": Pooled(), "method": "Centralized"}
    run = Run(**where, seed=3, settings=DESK)
    assert run.settings == DESK.at(3)


def test_a_cosine_takes_the_learning_rate_down_over_the_rounds():
    training = DESK.altered({"training.rounds": 4, "training.report_rounds": 1}).training
    rates = [training.in_round(number).rate / training.rate for number in range(4)]
    assert rates == pytest.approx([1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4])
    constant = training.model_copy(update={"schedule": "constant"})
    assert constant.in_round(3) is constant


def test_at_a_share_of_zero_ablations_share_the_runs_of_the_tables():
    assert DESK.ablations.validation_share == 0
    assert DESK.for_ablations() == DESK
