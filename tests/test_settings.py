"""Settings made of others: single changes, and where ablations are measured."""

import pytest

from regl_core.errors import ReglError
from regl_core.params import load

DESK = load("desk")


def test_altered_settings_are_those_loaded_with_the_changes():
    changes = {"training.rounds": 3, "lora": {"steps": 1}, "seeds": [7]}
    other = DESK.altered(changes)
    assert other == load("desk", changes)
    assert (other.profile, other.training.rounds, other.lora.steps) == ("desk", 3, 1)
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


def test_at_a_share_of_zero_ablations_share_the_runs_of_the_tables():
    assert DESK.ablations.validation_share == 0
    assert DESK.for_ablations() == DESK
