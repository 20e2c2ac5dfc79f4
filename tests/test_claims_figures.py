"""Claims 12 to 14, on numbers made by hand: what decides, and what is told besides."""

import math

import pandas as pd
import pytest
from toy_results import NOWHERE, outcome

from regl_core.report import judge

TF, FT = "ReGL (TF)", "ReGL (FT)"
MISSING, FEW_SEEDS = "not decided (runs missing)", "not decided (too few seeds)"
NOISE = "not decided (within the noise of 3 seeds; more than 1,000 would decide)"


def rows(method, seed, **columns):
    """Rows of one run: columns of lists of one length."""
    run = {"dataset": "digits", "setting": "beta=0.01", "method": method, "seed": seed}
    return pd.DataFrame({**run, **columns})


def judged(artefact, parts):
    found = judge(artefact, pd.concat(parts, ignore_index=True), NOWHERE)
    return {verdict.part: verdict for verdict in found}


# 12: distances


def distances(tf, ft, frechet=(9.0, 4.0)):
    return [
        rows(method, seed, kernel_distance=[value], frechet_distance=[frechet[method == FT]])
        for method, values in ((TF, tf), (FT, ft))
        for seed, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("tf", "ft", "expected"),
    [
        ((0.5, 0.6, 0.4), (0.1, 0.2, 0.1), "holds"),
        ((0.1, 0.2, 0.1), (0.5, 0.6, 0.4), "does not hold"),
        ((0.1, 0.2, 0.3), (0.2, 0.1, 0.3), NOISE),
        ((0.5, 0.6), (0.1, 0.2), FEW_SEEDS),
        ((), (0.1, 0.2, 0.1), MISSING),
    ],
)
def test_tuned_images_lie_closer(tf, ft, expected):
    assert outcome(judged("fig6", distances(tf, ft))[""]) == expected


# 13: a local update

REAL = (9, 0, 0, 0, 9, 9)  # of two clients and three classes: they lack three pairs


def update(method, seed, after, real=REAL):
    """Two clients and three classes, all at 50 % before; lists client by client."""
    pairs = {"client": [0, 0, 0, 1, 1, 1], "class": [0, 1, 2] * 2}
    return rows(method, seed, **pairs, real=real, before_pct=(50.0,) * 6, after_pct=after)


def updates(method, after, seeds=3, real=REAL):
    return [update(method, seed, after, real) for seed in range(seeds)]


@pytest.mark.parametrize(
    ("after", "loss", "expected"),
    [
        ((99, 5, 0, 10, 99, 99), "+45.0", "holds"),  # 45, 50 and 40 points of the lacking
        ((0, 30, 40, 40, 0, 0), "+13.3", "does not hold"),  # owned classes play no part
        ((99, 5, 60, 60, 99, 99), "+8.3", "does not hold"),  # one of three alone
    ],
)
def test_fedavg_wrecks_lacking_classes(after, loss, expected):
    verdict = judged("fig7", updates("FedAvg", after))["FedAvg"]
    assert verdict.verdict == expected
    assert f"mean difference {loss} points" in verdict.evidence[0]
    assert verdict.evidence[1] == "they are at 50.0 % before"


@pytest.mark.parametrize(
    ("after", "gain", "count", "expected"),
    [
        ((60, 70, 51, 60, 40, 61), "+5.0", 3, "holds"),  # means over clients: +10, +5, +6
        ((60, 70, 51, 60, 20, 61), "−5.0", 2, "does not hold"),
        ((50, 70, 51, 50, 40, 61), "+0.0", 2, "no difference"),  # class 0 stays
    ],
)
def test_regl_raises_every_class(after, gain, count, expected):
    found = judged("fig7", updates(TF, after) + updates(FT, (60,) * 6))
    assert (found[TF].verdict, found[FT].verdict) == (expected, "holds")
    assert found[TF].evidence[0].startswith("the class that gains least gains in ")
    assert f"mean difference {gain} points" in found[TF].evidence[0]
    assert found[TF].evidence[1] == f"{count} of 3 classes gain in the mean over seeds"


def test_a_class_that_falls_in_one_seed_counts_in_that_seed():
    """The classes take turns to fall: each gains in the mean, yet not every one in every seed."""
    falls = [[-1, 9, 9], [9, -1, 9], [9, 9, -1]]
    made = [update(FT, seed, [50 + c for c in fall * 2]) for seed, fall in enumerate(falls)]
    verdict = judged("fig7", made)[FT]
    assert verdict.verdict == "does not hold"
    assert verdict.evidence[1] == "3 of 3 classes gain in the mean over seeds"


def test_updates_of_few_seeds_or_missing_methods_decide_nothing():
    few = updates("FedAvg", (99, 5, 0, 10, 99, 99), 2) + updates(FT, (60,) * 6, 2)
    found = judged("fig7", few)
    outcomes = {part: outcome(verdict) for part, verdict in found.items()}
    assert outcomes == {"FedAvg": FEW_SEEDS, FT: FEW_SEEDS, TF: MISSING}
    nothing = "the class that gains least gains: no seed has all of these runs"
    assert found[TF].evidence == (nothing,)
    assert outcome(judged("fig7", updates(FT, (60,) * 6))["FedAvg"]) == MISSING
    lacks_nothing = judged("fig7", updates("FedAvg", (0,) * 6, real=(9,) * 6))["FedAvg"]
    assert outcome(lacks_nothing) == MISSING and len(lacks_nothing.evidence) == 1


# 14: silhouettes


def silhouettes(fedavg, regl):
    """Of lacking classes at two clients, alike in all seeds; 0.5 of owned ones."""
    return [
        rows(m, seed, silhouette_lacking=lacking, silhouette_owned=[0.5, 0.5], client=[0, 1])
        for m, lacking in (("FedAvg", fedavg), (FT, regl))
        if lacking
        for seed in range(3)
    ]


@pytest.mark.parametrize(
    ("fedavg", "regl", "expected"),
    [
        ([-0.2, 0.1], [0.3, -0.1], "holds"),  # means −0.05 and 0.1
        ([-0.2, 0.4], [0.3, 0.5], "does not hold"),  # FedAvg separates too, though less
        ([-0.5, -0.3], [-0.1, -0.2], "does not hold"),  # FT does not, though better
        ([-0.2, 0.1], [], MISSING),
        ([math.nan, -0.2], [0.1, math.nan], "holds"),  # a client that lacks no two classes
    ],
)
def test_regl_separates_lacking_classes(fedavg, regl, expected):
    assert outcome(judged("fig4", silhouettes(fedavg, regl))[""]) == expected
