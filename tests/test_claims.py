import re

import numpy as np
import pandas as pd
import pytest
from toy_results import DIGITS, METHODS, PAPERLIKE, judged, results
from toy_results import settings as toy_settings

from regl_core.paper import published
from regl_core.params import ROOT, load
from regl_core.partition import SingleLabel
from regl_core.report import (
    CLAIMS,
    Comparison,
    Verdict,
    claims_frame,
    gather,
    judge,
    undecided,
    verdicts,
)


def outcomes(made, number=2, its=DIGITS):
    runs = gather(made)
    found = judge(f"table{number}", runs, its)
    return {(verdict.claim, verdict.setting): verdict for verdict in found}


def test_numbers_like_the_papers_bear_the_claims_out():
    found = outcomes(PAPERLIKE)
    assert {key: verdict.verdict for key, verdict in found.items()} == {
        (2, "beta=0.01"): "holds",
        (2, "beta=0.5"): "holds",
        (3, "beta=0.01"): "not decided",  # 3 points below, but how far varies
        (3, "beta=0.5"): "holds",
        (4, "beta=0.01 against beta=0.5"): "holds",
    }
    assert {verdict.seeds for verdict in found.values()} == {3}
    evidence = found[2, "beta=0.01"].evidence
    assert evidence[0] == "With 1 of the paper's 8 baselines run"
    assert evidence[1] == (  # the seeds differ by 16, 17 and 18 points
        "ReGL (FT) > ReGL (TF) in 3 of 3 seeds (mean difference +17.0 points, "
        "95 % interval +14.5 to +19.5, Cohen's d +17.0, paper +7.0)"
    )
    assert "paper +21.0" in found[4, "beta=0.01 against beta=0.5"].evidence[0]


def test_opposite_numbers_and_a_single_refuted_comparison_refute_the_claims():
    made = results({"Centralized": 90, "FedAvg": (60, 30), "ReGL (TF)": 50, "ReGL (FT)": 40})
    assert {verdict.verdict for verdict in outcomes(made).values()} == {"does not hold"}
    made = results({"FedAvg": 30, "MOON": 75, "ReGL (TF)": 70, "ReGL (FT)": 80})
    verdict = outcomes(made)[2, "beta=0.01"]
    assert verdict.verdict == "does not hold"
    assert verdict.evidence[:2] == (
        "With 2 of the paper's 8 baselines run",
        "refuted: ReGL (TF) > MOON",
    )


@pytest.mark.parametrize(
    ("regl", "expected"),
    [((70, 80), "holds"), ((45, 80), "does not hold"), ((25, 20), "does not hold")],
)
def test_wide_lead_with_one_class_per_client(regl, expected):
    means = {"Centralized": 90, "FedAvg": 30, "ReGL (TF)": regl[0], "ReGL (FT)": regl[1]}
    (verdict,) = outcomes(results(means, (SingleLabel(),)), number=3).values()
    assert (verdict.claim, verdict.verdict) == (5, expected)
    assert any("paper +51.7" in sentence for sentence in verdict.evidence)
    besides = "besides, ReGL (FT) less than 5 points below Centralized in 0 of 3"
    assert verdict.evidence[-1].startswith(besides)


def test_two_seeds_decide_no_claim():
    means = {"Centralized": 90, "FedAvg": (30, 50), "ReGL (TF)": (70, 72), "ReGL (FT)": 89}
    text = verdicts("table2", gather(results(means, spread=(-1.0, 1.0))), DIGITS)
    assert text.count("**not decided** (too few seeds)") == 5
    assert "holds" not in text
    assert "95 % interval" not in text


@pytest.mark.parametrize("missing", ["FedAvg", "ReGL (TF)", "ReGL (FT)"])
def test_claim_with_a_missing_method_never_holds(missing):
    made = [r for r in PAPERLIKE if r.run.method != missing]
    found = outcomes(made)
    assert found[2, "beta=0.01"].verdict == "not decided"
    assert any("no seed has all of these" in words for words in found[2, "beta=0.01"].evidence)


def test_verdicts_are_told_below_their_claim_for_each_data_set():
    both = PAPERLIKE + results(dict.fromkeys(METHODS, 40.0), dataset="mine")
    its = toy_settings(digits="imagefruit", mine=None)
    text = verdicts("table2", gather(both), its)
    for claim in CLAIMS:
        assert (f"**Claim {claim.number}.** {claim.text}" in text) == (claim.artefact == "table2")
    assert "- digits, β = 0.01: **holds**.\n    - With" in text
    assert "- mine, β = 0.01: **no difference**.\n    - ReGL (FT) > ReGL (TF) in 0" in text
    mine = re.findall(r"^- mine.*(?:\n    - .*)+", text, re.M)
    assert len(mine) == 5
    assert not any("paper" in item for item in mine)


PERSONAL = {"Separate": 60, "FedRep": (50, 70), "FedBN": (50, 75), "FedAMP": (50, 45)}


def test_personal_claims_are_judged_by_table_4():
    found = outcomes(results(PERSONAL | {"ReGL (TF)": 80, "ReGL (FT)": (90, 85)}), number=4)
    assert {key: verdict.verdict for key, verdict in found.items()} == {
        (6, "beta=0.01"): "holds",
        (6, "beta=0.5"): "holds",
        (7, "beta=0.5"): "holds",
    }
    assert found[7, "beta=0.5"].evidence[0] == "2 of 3 do"
    assert found[7, "beta=0.5"].evidence[1].startswith("FedRep > Separate in 3 of 3")


@pytest.mark.parametrize(
    ("fedbn", "spread", "expected"),
    [(75, (-1.0, 0.0, 1.0), "does not hold"), (75, (0.0,), "not decided")],
)
def test_a_minority_above_separate_is_not_most(fedbn, spread, expected):
    means = {"Separate": 60, "FedRep": 55, "FedBN": fedbn}
    verdict = outcomes(results(means, spread=spread), number=4)[7, "beta=0.5"]
    assert verdict.verdict == expected


@pytest.mark.parametrize("number", range(1, 8))
def test_the_papers_own_numbers_bear_out_every_claim_on_its_tables(number):
    paper = published(number)
    itself = toy_settings(**{name: name for name in paper["dataset"]})
    runs = pd.concat(paper.assign(seed=seed) for seed in range(3))
    found = judge(f"table{number}", runs, itself)
    claims = {claim.number for claim in CLAIMS if claim.artefact == f"table{number}"}
    assert {verdict.claim for verdict in found} == claims
    assert {verdict.verdict for verdict in found} == {"holds"}


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if "table" in claim.artefact])
def test_claim_without_its_settings_says_so(claim):
    assert [it.number for it in CLAIMS] == list(range(1, 15))
    found = judged(claim.artefact, {("elsewhere", "FedAvg"): [1.0] * 3})
    (verdict,) = [verdict for verdict in found if verdict.claim == claim.number]
    assert (verdict.verdict, verdict.reason) == ("not decided", " (runs missing)")
    assert verdict.evidence[0].startswith("cannot be judged: it needs")


def test_what_remains_over_a_control_is_told_and_the_control_is_no_baseline():
    control = "FedAvg (same steps)"
    means = {"Centralized": 90, "FedAvg": 30, "ReGL (TF)": 70, "ReGL (FT)": 80, control: 75}
    verdict = outcomes(results(means))[2, "beta=0.01"]
    assert verdict.verdict == "holds"
    told = [it for it in verdict.evidence if it.startswith("over the control, ")]
    ft, tf = (it.removeprefix("over the control, ") for it in told)
    assert ft.startswith(f"ReGL (FT) > {control} in 3 of 3 seeds (mean difference +5.0 points")
    assert tf.startswith(f"ReGL (TF) > {control} in 0 of 3 seeds (mean difference −5.0 points")


def drawn(rng, gains, spread=4.0, seeds=5):
    """A comparison for each true gain, in points, of so many seeds."""
    return [Comparison("", tuple(rng.normal(gain, spread, seeds))) for gain in gains]


@pytest.mark.parametrize("count", [1, 9, 16])
def test_chance_refutes_no_claim_more_often_than_once_in_forty(count):
    """Of comparisons none of which differs, and where all but one are clearly true."""
    rng = np.random.default_rng(0)
    for gains, wrong in (([0.0] * count, "does not hold"), ([40.0] * (count - 1) + [0], "holds")):
        found = [Verdict("", drawn(rng, gains)).verdict for _ in range(1000)]
        assert found.count(wrong) <= 40  # 25 expected at most, with a deviation of 5


def test_equal_accuracies_are_told_from_noise_and_from_a_large_gap():
    rng = np.random.default_rng(0)
    equal = [Verdict("", drawn(rng, [0.0], 1.0)).verdict for _ in range(200)]
    assert equal.count("no difference") > 180
    apart = [Verdict("", drawn(rng, [5.0], 4.0)).verdict for _ in range(1000)]
    assert apart.count("no difference") <= 70  # 50 expected at most, with a deviation of 7
    assert {Verdict("", drawn(rng, [0.0], 40.0)).verdict for _ in range(9)} == {"not decided"}


def test_seeds_that_would_decide_are_the_fewest_that_do():
    verdict = Verdict("", [Comparison("", (4.0, -3.0, 8.0))])
    assert verdict.verdict == "not decided"
    n = verdict.seeds_needed
    assert (verdict.decided(n - 1), verdict.decided(n)) == ("not decided", "holds")
    assert verdict.reason == f" (within the noise of 3 seeds; about {n} would decide)"
    assert Verdict("", [Comparison("", (4.0,))]).seeds_needed is None


def test_open_verdicts_are_told_with_the_seeds_they_need(tmp_path):
    found = judged("table1", {("global_share=0%", "FedAvg (generalization)"): [50.0] * 3})
    noisy = Verdict("beta=0.5", [Comparison("", (4.0, -3.0, 8.0))], claim=2, dataset="mine")
    rows = claims_frame([*found, noisy, Verdict("", [Comparison("", (4.0, 5.0, 4.0))], claim=2)])
    rows.to_csv(tmp_path / "claims.csv", index=False)
    head, line = undecided(tmp_path, ["table2"])
    assert tmp_path.name in head
    assert line == f"  claim 2: mine, β = 0.5{noisy.reason}" and "would decide" in line
    assert undecided(tmp_path, ["table7"]) == undecided(tmp_path / "none", ["table2"]) == []


def test_the_verdicts_on_the_numbers_of_desk_are_those_of_its_claims():
    """Every word of them; figures/desk is made anew where one changes."""
    folder, found = ROOT / "figures/desk", []
    for name in sorted({claim.artefact for claim in CLAIMS}):
        found += judge(name, pd.read_csv(folder / f"{name}.csv"), load("desk"))
    made = claims_frame(sorted(found, key=lambda verdict: verdict.claim))
    stored = pd.read_csv(folder / "claims.csv")[list(made)]
    pd.testing.assert_frame_equal(made, stored)
