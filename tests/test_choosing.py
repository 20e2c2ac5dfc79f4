"""The choice of hyper-parameters: one budget, images held out of the training set, by the best."""

from collections import Counter
from itertools import product

import pandas as pd
import pytest

from regl_core import datasets, methods
from regl_core.errors import ReglError
from regl_core.evidence import choosing
from regl_core.params import ROOT, load, profiles
from regl_core.pipeline import Pipeline
from regl_core.runs import PersonalRun, Result

SMOKE = load("smoke")


@pytest.mark.parametrize("profile", profiles())
def test_every_method_gets_the_same_budget(profile):
    """Four values, at every β, with the same seeds; settings have what the profile lists."""
    settings, known = load(profile), methods.known()
    how, betas, datasets = settings.choice, settings.betas, settings.datasets
    expected = {
        (group, name): known[name].candidates
        for group in choosing.GROUPS
        for name in getattr(settings, group)
        if known[name].candidates
    }
    assert all(len(values) == 4 for _, values in expected.values())
    for name in expected:
        assert known[name[1]].model_fields[expected[name][0]].default in expected[name][1]
    rate = how.settings["training.rate"]
    expected["training", rate.method] = "rate", rate.values
    tried: dict[tuple[str, str], list[choosing.Trial]] = {}
    for trial in choosing.trials(profile, {}):
        tried.setdefault((trial.group, trial.run.method), []).append(trial)
    assert tried.keys() == expected.keys()
    for key, own in tried.items():
        parameter, values = expected[key]
        assert len(own) == len(values) * len(betas) * len(how.seeds) * len(datasets), key
        assert {it.parameter for it in own} == {parameter}
        each = Counter((it.value, it.run.partition.beta, it.run.seed) for it in own)
        assert each == {one: len(datasets) for one in product(values, betas, how.seeds)}, key


def test_no_test_image_is_seen():
    tried = choosing.trials("smoke", {})
    names = {trial.run.method for trial in tried}
    assert {"FedProx", "FedOpt", "MOON", "FedAlign", "FedCAC"} <= names
    test = datasets.load("digits", SMOKE.datasets["digits"]).test
    hidden = {image.numpy().tobytes() for image in test.images}
    first = tried[0].run.settings
    _, part = Pipeline().source("digits", first)
    for split in (part.train, part.test):
        assert not hidden & {image.numpy().tobytes() for image in split.images}
    assert all(trial.run.settings.datasets == first.datasets for trial in tried)
    assert not {trial.run.seed for trial in tried} & set(SMOKE.seeds)
    assert {isinstance(trial.run, PersonalRun) for trial in tried} == {True, False}


def test_a_profile_without_candidates_is_an_error(monkeypatch):
    monkeypatch.setattr(choosing, "product", lambda *parts: ())
    with pytest.raises(ReglError, match=r"smoke\.yaml: no method"):
        choosing.trials("smoke", {})


def chosen(rows):
    """The parameter and its chosen value by group and method."""
    found = choosing.conclusion(rows).set_index(["group", "method"])
    return {key: (row["parameter"], row["chosen"]) for key, row in found.iterrows()}


@pytest.mark.parametrize(
    ("scores", "expected"),  # of FedProx by seed, with 0.01, the default, and with 1.0
    [(((50, 60), (54, 64)), 1.0), (((50, 60), (50, 64)), 0.01), (((50, 60), (40, 60)), 0.01)],
)
def test_the_default_is_kept_unless_the_lead_exceeds_its_standard_error(scores, expected):
    rows = pd.DataFrame(
        [
            ("methods", "FedProx", "mu", value, beta, seed, score)
            for value, own in zip((0.01, 1.0), scores, strict=True)
            for seed, score in enumerate(own)
            for beta in ("beta=0.01", "beta=0.5")
        ],
        columns=[*choosing.TRIAL, "setting", "seed", "validation_accuracy_pct"],
    )
    assert chosen(rows) == {("methods", "FedProx"): ("mu", expected)}


def test_the_best_mean_stands_first_and_the_first_of_equals():
    rows = pd.DataFrame(
        [
            ("training", "FedAvg", "x", value, setting, 0, score)
            for value, scores in ((1.0, (10, 30)), (2.0, (20, 40)), (3.0, (25, 35)))
            for setting, score in zip(("beta=0.01", "beta=0.5"), scores, strict=True)
        ]
        + [("training", "MOON", "y", 0.5, "beta=0.5", 0, 50.0)],
        columns=[*choosing.TRIAL, "setting", "seed", "validation_accuracy_pct"],
    )
    assert chosen(rows) == {("training", "FedAvg"): ("x", 2.0), ("training", "MOON"): ("y", 0.5)}
    means = choosing.means(rows)
    assert list(means["value"]) == [2.0, 3.0, 1.0, 0.5]
    assert len(choosing.picture(rows).axes) == 2
    ends = rows[rows["value"] != 2.0]
    assert choosing.conclusion(rows)["at an end"].tolist() == [False, True]
    assert choosing.conclusion(ends)["at an end"].tolist() == [True, True]


def test_what_is_tried_is_shown():
    tried = choosing.trials("smoke", {})
    rows = choosing.candidates(tried).set_index("method")
    assert rows.loc["FedProx", "values"] == "0.001, 0.01, 0.1, 1"
    assert rows["runs"].sum() == len(tried)
    results = [Result(trial.run, (50.0,)) for trial in tried]
    assert set(choosing.scores(tried, results)["dataset"]) == {"digits"}
    for trial in tried:  # each has the value that it says
        settings = trial.run.settings
        holder = settings.training if trial.group == "training" else trial.run.build()
        assert getattr(holder, trial.parameter) == trial.value


def test_the_table_of_hyperparameters_has_all_of_them():
    table = choosing.hyperparameters(load("desk"))
    expected = sum(len(kind.model_fields) for kind in methods.known().values())
    assert len(table) == expected
    assert table["meaning and source"].str.contains(";").all()


def test_the_settings_of_desk_are_those_chosen():
    """figures/desk/choice.csv holds the scores behind them; every candidate was tried."""
    rows, settings = pd.read_csv(ROOT / "figures/desk/choice.csv"), load("desk")
    expected = {
        (group, name)
        for group in choosing.GROUPS
        for name in getattr(settings, group)
        if methods.known()[name].candidates
    }
    best = chosen(rows)
    for key, its in settings.choice.settings.items():
        group, _, parameter = key.partition(".")
        assert best.pop((group, its.method)) == (parameter, getattr(settings.training, parameter))
        tried = rows.loc[rows["group"] == group, "value"]
        assert tuple(tried.unique()) == its.values
    assert best.keys() == expected
    for (group, name), (parameter, value) in best.items():
        own = rows[(rows["group"] == group) & (rows["method"] == name)]
        assert methods.known()[name].candidates == (parameter, tuple(own["value"].unique()))
        assert set(own["seed"]) == set(settings.choice.seeds)
        given = methods.get(name, getattr(settings, group)[name])
        assert getattr(given, parameter) == value, f"params/desk.yaml: {group}.{name}.{parameter}"
