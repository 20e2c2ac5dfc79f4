import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from toy_results import NO_PAPER, frame

from regl_core.report import Comparison
from regl_core.report.comparison import Scores

quick = settings(max_examples=60, deadline=None)

differences = st.lists(st.floats(-100, 100).map(lambda x: round(x, 2)), min_size=3, max_size=8)


@given(differences.filter(lambda values: max(values) - min(values) > 0.1))
@quick
def test_interval_is_that_of_the_paired_t_test(values):
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert Comparison("", tuple(values)).interval == pytest.approx(tuple(expected))


@given(differences, st.floats(-50, 50))
@quick
def test_decision_agrees_with_the_mean_and_turns_with_the_sign(values, above):
    one = Comparison("", tuple(values), above=above)
    other = Comparison("", tuple(-value for value in values), above=-above)
    opposite = {"holds": "does not hold", "does not hold": "holds"}
    assert other.outcome == opposite.get(one.outcome, one.outcome)
    if one.outcome in opposite:
        assert (one.mean > above) == (one.outcome == "holds")


def test_words_tell_seeds_difference_interval_and_paper():
    words = Comparison("A > B", (4.0, 5.0, -3.0), paper=-0.04, above=0.0).words
    low, high = stats.ttest_1samp((4.0, 5.0, -3.0), 0).confidence_interval(0.95)
    assert words == (
        "A > B in 2 of 3 seeds (mean difference +2.0 points, 95 % interval "
        f"−{-low:.1f} to +{high:.1f}, Cohen's d +0.5, paper +0.0)"
    )


@given(differences.filter(lambda values: max(values) - min(values) > 0.1))
@quick
def test_effect_is_the_t_statistic_over_the_root_of_n(values):
    t = stats.ttest_1samp(values, 0).statistic
    assert Comparison("", tuple(values)).effect == pytest.approx(t / math.sqrt(len(values)))


def test_equal_differences_decide_by_their_value_and_have_no_finite_effect():
    for values, above, outcome, effect in (
        ((2.0, 2.0, 2.0), 0.0, "holds", math.inf),
        ((2.0, 2.0, 2.0), 5.0, "does not hold", math.inf),
        ((-2.0, -2.0), 0.0, "not decided", -math.inf),
        ((0.0, 0.0, 0.0), 0.0, "no difference", math.nan),
        ((5.0, 5.0, 5.0), 5.0, "not decided", math.inf),
    ):
        found = Comparison("A > B", values, above=above)
        assert found.outcome == outcome and str(found.effect) == str(effect)
        assert found.words.endswith("all equal)")


def test_words_of_few_seeds_give_no_interval():
    assert Comparison("A > B", ()).words == "A > B: no seed has all of these runs"
    assert Comparison("A > B", (1.0,)).words == "A > B in 1 of 1 seed (mean difference +1.0 points)"
    words = Comparison("A > B", (1.0, 3.0)).words  # mean 2, standard deviation √2
    assert words == "A > B in 2 of 2 seeds (mean difference +2.0 points, Cohen's d +1.4)"


def test_words_tell_quantity_and_unit():
    small = Comparison("closer", (0.0012, 0.0012), unit="")
    assert small.words == "closer in 2 of 2 seeds (mean difference +0.0012, all equal)"
    slope = Comparison("up", (-0.04,), unit="points per step", name="slope")
    assert slope.words == "up in 0 of 1 seed (mean slope +0.0 points per step)"


# Scores


def scores(numbers, paper=NO_PAPER):
    return Scores("digits", frame(numbers), paper)


def test_settings_are_found_by_a_number_in_their_name():
    names = ["beta=0.5;clients=10", "single_label", "beta=0.5;clients=5", "beta=0.01;clients=5"]
    names += ["global_share=5%", "all", "beta=0.5", "beta=0.05"]
    found = scores({(name, "FedAvg"): [1.0] for name in names})
    assert found.along("clients") == {
        "beta=0.5": {5.0: names[2], 10.0: names[0]},
        "beta=0.01": {5.0: names[3]},
    }
    assert list(found.along("clients")["beta=0.5"]) == [5.0, 10.0]
    assert found.along("global_share") == {"": {5.0: "global_share=5%"}}
    assert found.along("images") == {}
    assert found.betas == ["beta=0.05", "beta=0.5"]


def test_slope_is_that_of_the_least_squares_line():
    numbers = {("x=0", "A"): [30, 30], ("x=1", "A"): [40, 42], ("x=3", "A"): [60, 62]}
    paper = pd.DataFrame({"dataset": "digits", "setting": ["x=0", "x=1", "x=3"], "method": "A"})
    paper = paper.assign(accuracy_pct=[1.0, 2.0, 4.0], std_pct=math.nan)
    levels = {0.0: "x=0", 1.0: "x=1", 3.0: "x=3"}
    found = scores(numbers, paper).slope("", "A", levels, "")
    assert found.differences == pytest.approx((10.0, stats.linregress([0, 1, 3], [30, 42, 62])[0]))
    assert found.paper == pytest.approx(1.0)


def test_seeds_that_lack_a_level_have_no_slope():
    numbers = {("x=0", "A"): [30, 30], ("x=1", "A"): [40], ("x=2", "A"): [50, 50]}
    levels = {0.0: "x=0", 1.0: "x=1", 2.0: "x=2"}  # the middle one has weight 0
    assert scores(numbers).slope("", "A", levels, "").differences == (10.0,)


def test_rounding_errors_decide_nothing():
    found = scores({("x", "A"): [0.1 + 0.2] * 3, ("x", "B"): [0.3] * 3}).lead("x", "A", "B")
    assert found.differences == (0.0, 0.0, 0.0)
    assert found.outcome == "no difference"
