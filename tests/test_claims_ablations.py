import pytest
from scipy import stats
from toy_results import judged, outcome

SEEDS = (-1.0, 0.0, 1.0)  # points: good and bad seeds, for all runs alike


def spread(means, seeds=SEEDS):
    return {key: [mean + shift for shift in seeds] for key, mean in means.items()}


def by_part(artefact, means, seeds=SEEDS):
    found = judged(artefact, spread(means, seeds))
    return {(verdict.setting, verdict.part): verdict for verdict in found}


# 1: shares of global data

GENERAL, PERSONAL = "FedAvg (generalization)", "FedAvg (personalization)"


def shares(**accuracies):
    """Accuracies at 0, 10 and 30 %, by task."""
    tasks = {"general": GENERAL, "personal": PERSONAL}
    return {
        (f"global_share={share}%", tasks[task]): own[n]
        for task, own in accuracies.items()
        for n, share in enumerate((0, 10, 30))
    }


def test_accuracy_rises_with_the_share():
    numbers = spread(shares(general=(30, 40, 60), personal=(60, 50, 30)))
    numbers["global_share=10%", GENERAL] = [39.0, 42.0, 39.0]
    numbers["global_share=30%", GENERAL] = [59.0, 62.0, 59.0]
    one, two = judged("table1", numbers)
    assert (one.setting, one.part) == ("global_share=0% to 30%", GENERAL)
    assert (one.verdict, two.part, two.verdict) == ("holds", PERSONAL, "does not hold")
    # Shares 0, 1, 3 in units of 10 %: centred −4/3, −1/3, 5/3, whose squares sum to 14/3.
    slopes = [10.0, (-4 * 30 - 42 + 5 * 62) / 14, (-4 * 31 - 39 + 5 * 59) / 14]
    low, high = stats.ttest_1samp(slopes, 0).confidence_interval(0.95)
    assert one.evidence[0].startswith(
        f"accuracy rises in 3 of 3 seeds (mean slope +{sum(slopes) / 3:.1f} points per 10 % of "
        f"global data, 95 % interval +{low:.1f} to +{high:.1f}, "
    )
    assert one.evidence[1].startswith("accuracy at 30% > at 0% in 3 of 3 seeds")
    assert (
        one.evidence[2]
        == "2 of 2 steps up in the means: 30.0 % at 0%, 40.0 % at 10%, 60.0 % at 30%"
    )
    assert two.evidence[2].startswith("0 of 2 steps up")


def test_a_slope_alone_is_no_rise():
    """Much more in the middle than at the ends: the line rises, the last is below the first."""
    settings = [f"global_share={share}%" for share in (0, 20, 25, 30)]
    numbers = {(s, GENERAL): [m] * 3 for s, m in zip(settings, (40, 60, 60, 39), strict=True)}
    verdict = judged("table1", numbers)[0]
    assert verdict.verdict == "does not hold"
    assert verdict.evidence[0] == "refuted: accuracy at 30% > at 0%"
    assert "mean slope +2.7 points" in verdict.evidence[1]


def test_noisy_and_few_seeds_and_missing_tasks_or_shares_show_no_rise():
    means = shares(general=(30, 30, 30.5), personal=(30, 40, 60))
    numbers = spread(means) | {("global_share=0%", GENERAL): [31.0, 28.0, 31.0]}
    assert outcome(judged("table1", numbers)[0]).startswith("not decided (within the noise of 3")
    two = judged("table1", spread(means, (0.0, 1.0)))
    assert {outcome(verdict) for verdict in two} == {"not decided (too few seeds)"}
    one, two = judged("table1", spread(shares(general=(30, 40, 60))))
    assert (one.verdict, outcome(two)) == ("holds", "not decided (runs missing)")
    assert two.evidence[-1] == "accuracy at 30% > at 0%: no seed has all of these runs"
    alone = judged("table1", {("global_share=10%", GENERAL): [50.0] * 3})
    assert {outcome(verdict) for verdict in alone} == {"not decided (runs missing)"}
    assert alone[0].evidence == ("cannot be judged: it needs two or more levels to rise over",)


# 8: numbers of images

TF, FT = "ReGL (TF)", "ReGL (FT)"


def volumes(**accuracies):
    """Accuracies at 0, 10, 20 and 40 images, by method."""
    return {
        (f"beta=0.5;images={n}", f"ReGL ({method})"): level
        for method, own in accuracies.items()
        for n, level in zip((0, 10, 20, 40), own, strict=True)
    }


def test_accuracy_rises_with_the_number_of_images():
    found = by_part("fig5", volumes(TF=(99, 60, 66, 72), FT=(0, 70, 72, 65)))
    setting = "beta=0.5;images=10 to 40"
    assert list(found) == [(setting, FT), (setting, TF)]
    ft, tf = found.values()
    assert (tf.verdict, ft.verdict) == ("holds", "does not hold")  # none at all plays no part
    assert "mean slope +6.0 points per doubling" in tf.evidence[0]
    assert "mean slope −2.5 points per doubling" in ft.evidence[0]  # 0.5 · (65 − 70)
    assert tf.evidence[-1] == "besides, 99.0 % without any"


def test_one_number_of_images_shows_no_rise():
    means = volumes(TF=(50, 60, 70, 80))
    pick = {key: means[key] for key in list(means)[:2]}
    for kept in (pick, dict(list(pick.items())[:1])):
        found = judged("fig5", spread(kept))
        assert {outcome(verdict) for verdict in found} == {"not decided (runs missing)"}
    missing, full = judged("fig5", spread(means))
    assert (full.verdict, outcome(missing)) == ("holds", "not decided (runs missing)")
    two = judged("fig5", spread(means, (0.0, 1.0)))
    assert outcome(two[1]) == "not decided (too few seeds)"


# 9 and 11: falls

RIVALS = ("FedAvg", "MOON")


def ends(start, end, first="iid", last="beta=0.01"):
    """Accuracies of FedAvg, MOON and FT in two settings."""
    methods = (*RIVALS, FT)
    at_start = {(first, m): level for m, level in zip(methods, start, strict=True)}
    return at_start | {(last, m): level for m, level in zip(methods, end, strict=True)}


PARTS = ("baselines fall far", "FT falls least", "FT hardly falls")
FALLS = [
    (((70, 75, 80), (30, 35, 77)), ("holds", "holds", "holds")),
    (((70, 75, 80), (60, 35, 77)), ("does not hold", "holds", "holds")),  # FedAvg by 10 only
    (((70, 75, 80), (69, 35, 77)), ("does not hold", "does not hold", "holds")),
    (((70, 75, 80), (30, 35, 60)), ("holds", "holds", "does not hold")),  # FT by 20
]


@pytest.mark.parametrize(("levels", "expected"), FALLS)
def test_falls_under_skew_and_with_more_clients(levels, expected):
    few, many = "beta=0.01;clients=5", "beta=0.01;clients=30"
    between = {("beta=0.01;clients=10", method): 0.0 for method in (*RIVALS, FT)}  # plays no part
    skew = by_part("table5", ends(*levels))
    clients = by_part("table7", ends(*levels, first=few, last=many) | between)
    assert list(clients) == [(f"{few} to 30", part) for part in PARTS]
    for found, span in ((skew, "iid to beta=0.01"), (clients, f"{few} to 30")):
        assert tuple(found[span, part].verdict for part in PARTS) == expected


def test_lead_is_judged_at_each_beta_and_under_iid():
    means = ends((70, 85, 80), (30, 35, 77)) | {("beta=0.5", "FedAvg"): 60, ("beta=0.5", FT): 61}
    found = by_part("table5", means)
    leads = {
        setting: verdict.verdict for (setting, part), verdict in found.items() if part == "FT leads"
    }
    assert leads == {"beta=0.01": "holds", "beta=0.5": "holds", "iid": "does not hold"}
    assert list(leads) == ["beta=0.01", "beta=0.5", "iid"]
    assert found["iid", "FT leads"].evidence[0] == "refuted: ReGL (FT) > MOON"


@pytest.mark.parametrize("missing", [("iid", FT), ("beta=0.01", "MOON"), ("iid", "FedAvg")])
def test_missing_run_leaves_falls_open(missing):
    means = ends((70, 75, 80), (30, 35, 77))
    del means[missing]
    found = by_part("table5", means)
    assert outcome(found["iid to beta=0.01", "FT falls least"]) == "not decided (runs missing)"


def test_no_baseline_at_all_is_no_lead():
    found = by_part("table5", {("iid", FT): 80, ("beta=0.01", FT): 79})
    outcomes = {part: outcome(verdict) for (_, part), verdict in found.items()}
    assert outcomes.pop("FT hardly falls") == "holds"
    assert set(outcomes.values()) == {"not decided (runs missing)"}


# 10: local epochs

EPOCHS = (1, 5, 10, 20)
FEW, LEAD, LITTLE = (
    "one local epoch is too few",
    "FT leads at each number of local epochs",
    "more than 5 local epochs bring little",
)


def epochs(fedavg, regl, numbers=EPOCHS):
    return {
        (f"beta=0.01;local_epochs={n}", method): level
        for method, levels in (("FedAvg", fedavg), (FT, regl))
        for n, level in zip(numbers, levels, strict=True)
    }


@pytest.mark.parametrize(
    ("fedavg", "regl", "expected"),
    [
        ((20, 30, 32, 31), (60, 77, 76, 78), ("holds", "holds", "holds")),
        ((30, 29, 32, 31), (60, 77, 76, 78), ("does not hold", "holds", "holds")),
        ((20, 30, 32, 31), (60, 77, 76, 30), ("holds", "does not hold", "holds")),
        ((20, 30, 32, 45), (60, 77, 76, 78), ("holds", "holds", "does not hold")),
        ((20, 30, 32, 10), (60, 77, 76, 60), ("holds", "holds", "holds")),  # less is little, too
    ],
)
def test_local_epochs(fedavg, regl, expected):
    found = by_part("table6", epochs(fedavg, regl))
    assert list(found) == [("beta=0.01", part) for part in (FEW, LEAD, LITTLE)]
    assert tuple(verdict.verdict for verdict in found.values()) == expected


@pytest.mark.parametrize(
    ("numbers", "open_parts"), [((5, 10), {FEW}), ((1, 5), {LITTLE}), ((1, 10), {FEW, LITTLE})]
)
def test_parts_without_their_epochs_say_so(numbers, open_parts):
    found = by_part("table6", epochs((20, 30), (60, 63), numbers))
    missing = {part for (_, part), v in found.items() if outcome(v) == "not decided (runs missing)"}
    assert missing == open_parts
    assert found["beta=0.01", LEAD].verdict == "holds"
