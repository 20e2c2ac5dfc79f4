"""Claims on Tables 2 to 4: ReGL beside every baseline."""

from collections.abc import Iterator

from ..comparison import FT, REGL, TF, Comparison, Scores
from ..rows import POOLED, spoken
from .judging import FEW, WIDE, Verdict, claim


@claim(
    2,
    "table2",
    "ReGL (FT) > ReGL (TF) > every baseline, at each β.",
)
def ranking(scores: Scores) -> Iterator[Verdict]:
    """At each β FT is above TF, and TF above every baseline that was run."""
    for setting in scores.betas:
        leads = [scores.lead(setting, FT, TF), *scores.leads(setting, TF)]
        besides = scores.over_controls(setting)
        yield Verdict(setting, leads, before=scores.coverage(setting), after=besides)


@claim(
    3,
    "table2",
    f"ReGL (FT) comes within a few points of Centralized, less than {FEW:.0f}.",
)
def near_centralized(scores: Scores) -> Iterator[Verdict]:
    """At each β FT is less than FEW points below Centralized, or above it."""
    for setting in scores.betas:
        yield Verdict(setting, [_gap(scores, setting)])


def _gap(scores: Scores, setting: str) -> Comparison:
    what = f"{FT} less than {FEW:.0f} points below Centralized"
    return scores.compare(what, [(setting, FT)], [(POOLED, "Centralized")], above=-FEW)


@claim(4, "table2", "The gain over FedAvg is larger where labels are more skewed.")
def gain_grows_with_skew(scores: Scores) -> Iterator[Verdict]:
    """At the smallest β run, TF and FT are further above FedAvg than at the largest."""
    if len(scores.betas) > 1:
        low, high = scores.betas[0], scores.betas[-1]
        where = f"larger at {spoken(low)} than at {spoken(high)}"
        gains = [
            scores.lead_falls(f"gain of {it} over FedAvg {where}", it, "FedAvg", low, high)
            for it in REGL
        ]
        yield Verdict(f"{low} against {high}", gains)


@claim(
    5,
    "table3",
    "With one class per client ReGL leads every baseline by a wide margin, about 40 points. "
    f"Here, more than {WIDE:.0f}.",
)
def wide_lead(scores: Scores) -> Iterator[Verdict]:
    """With one class per client TF and FT are more than WIDE points above every baseline run."""
    if (setting := "single_label") in scores.settings:
        leads = [lead for method in REGL for lead in scores.leads(setting, method, WIDE)]
        besides = [f"besides, {_gap(scores, setting).words}", *scores.over_controls(setting)]
        yield Verdict(setting, leads, before=scores.coverage(setting), after=besides)


@claim(
    7,
    "table4",
    "At β = 0.5 most personalised methods beat Separate.",
)
def beat_separate(scores: Scores) -> Iterator[Verdict]:
    """At β = 0.5 more than half of the personalised methods run, ReGL aside, beat Separate."""
    if (setting := "beta=0.5") in scores.betas:
        others = [o for o in scores.baselines(setting) if o not in ("Separate", "FedAvg")]
        if leads := [scores.lead(setting, other, "Separate") for other in others]:
            yield Verdict(setting, leads, most=True)


personal_ranking = claim(
    6,
    "table4",
    "ReGL (FT) > ReGL (TF) > every personalised baseline, at both β.",
)(ranking.verdicts)
