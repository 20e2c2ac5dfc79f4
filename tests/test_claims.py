import re

import pandas as pd
import pytest
from toy_results import DIGITS, METHODS, NOWHERE, PAPERLIKE, frame, judged, results
from toy_results import settings as toy_settings

from regl_core.paper import published
from regl_core.params import ROOT, load
from regl_core.partition import SingleLabel
from regl_core.report import CLAIMS, claims_frame, gather, judge, verdicts


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
    noise = "**not decided** (within the noise of 3 seeds).\n    - ReGL (FT) > ReGL (TF) in 0"
    assert f"- mine, β = 0.01: {noise}" in text
    mine = re.findall(r"^- mine.*(?:\n    - .*)+", text, re.M)
    assert len(mine) == 5
    assert not any("paper" in item for item in mine)


PERSONAL = {"Separate": 60, "FedRep": (50, 70), "FedBN": (50, 75), "FedAMP": (50, 55)}


def test_personal_claims_are_judged_by_table_4():
    found = outcomes(results(PERSONAL | {"ReGL (TF)": 80, "ReGL (FT)": (90, 85)}), number=4)
    assert {key: verdict.verdict for key, verdict in found.items()} == {
        (6, "beta=0.01"): "holds",
        (6, "beta=0.5"): "holds",
        (7, "beta=0.5"): "holds",
    }
    assert found[7, "beta=0.5"].evidence[0] == "2 of 3 do, 1 does not"
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


def test_remark_is_told_only_below_a_claim_that_does_not_hold():
    (remark,) = [claim.remark for claim in CLAIMS if claim.number == 7]
    bad = {("beta=0.5", "Separate"): [60.0] * 3, ("beta=0.5", "FedRep"): [50.0] * 3}
    good = {("beta=0.5", "Separate"): [60.0] * 3, ("beta=0.5", "FedRep"): [70.0] * 3}
    for numbers, expected in ((bad, True), (good, False)):
        found = [v for v in judged("table4", numbers) if v.claim == 7]
        words = verdicts("table4", frame(numbers), NOWHERE)
        assert (f"Why: {remark}" in words) == expected
        assert claims_frame(found)["evidence"][0].endswith(f"; Why: {remark}") == expected


def test_the_verdicts_on_the_numbers_of_desk_are_those_of_its_claims():
    """Every word of them; figures/desk is made anew where one changes."""
    folder, found = ROOT / "figures/desk", []
    for name in sorted({claim.artefact for claim in CLAIMS}):
        found += judge(name, pd.read_csv(folder / f"{name}.csv"), load("desk"))
    made = claims_frame(sorted(found, key=lambda verdict: verdict.claim))
    stored = pd.read_csv(folder / "claims.csv")[list(made)]
    pd.testing.assert_frame_equal(made, stored)
