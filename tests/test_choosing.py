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
    """Four values, at every β, with the same seeds; the rate, for all methods, has its own."""
    settings, known = load(profile), methods.known()
    how, betas, datasets = settings.choice, settings.betas, settings.datasets
    expected = {
        (group, name): (known[name].candidates, how.seeds)
        for group in choosing.GROUPS
        for name in getattr(settings, group)
        if known[name].candidates
    }
    assert all(len(values) == 4 for (_, values), _ in expected.values())
    if "FedAvg" in settings.methods:
        expected["training", "FedAvg"] = ("rate", how.rates), how.rate_seeds
    tried: dict[tuple[str, str], list[choosing.Trial]] = {}
    for trial in choosing.trials(profile, {}):
        tried.setdefault((trial.group, trial.run.method), []).append(trial)
    assert tried.keys() == expected.keys()
    for key, own in tried.items():
        (parameter, values), seeds = expected[key]
        assert len(own) == len(values) * len(betas) * len(seeds) * len(datasets), key
        assert {it.parameter for it in own} == {parameter}
        each = Counter((it.value, it.run.partition.beta, it.run.seed) for it in own)
        assert each == {one: len(datasets) for one in product(values, betas, seeds)}, key


def test_no_test_image_is_seen():
    tried = choosing.trials("smoke", {})
    names = {trial.run.method for trial in tried}
    assert {"FedProx", "FedOpt", "MOON", "FedAlign", "DynaFed", "FedCAC"} <= names
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
    """The parameter and its best value by group and method."""
    best = choosing.means(rows).groupby(["group", "method"], sort=False).first()
    return {key: (row["parameter"], row["value"]) for key, row in best.iterrows()}


def test_the_best_mean_is_chosen_and_the_first_of_equals():
    rows = pd.DataFrame(
        [
            ("methods", "B", "x", value, setting, 0, score)
            for value, scores in ((1.0, (10, 30)), (2.0, (20, 40)), (3.0, (25, 35)))
            for setting, score in zip(("beta=0.01", "beta=0.5"), scores, strict=True)
        ]
        + [("methods", "A", "y", 0.5, "beta=0.5", 0, 50.0)],
        columns=[*choosing.TRIAL, "setting", "seed", "validation_accuracy_pct"],
    )
    assert chosen(rows) == {("methods", "B"): ("x", 2.0), ("methods", "A"): ("y", 0.5)}
    means = choosing.means(rows)
    assert list(means["value"]) == [2.0, 3.0, 1.0, 0.5]
    assert len(choosing.picture(rows).axes) == 2
    own = rows[rows["method"] == "B"]
    some = own, own[own["value"] == 2.0], own[own["value"] != 2.0]
    found = [choosing.conclusion(part).values.tolist() for part in some]
    assert found == [
        [["methods", "B", "x", 2.0, 0.0, False]],
        [["methods", "B", "x", 2.0, 0.0, True]],  # the only one tried
        [["methods", "B", "x", 3.0, 10.0, True]],
    ]


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
    rate = best.pop(("training", "FedAvg"))
    assert rate == ("rate", settings.training.rate)
    tried = rows.loc[rows["group"] == "training", "value"]
    assert tuple(tried.unique()) == settings.choice.rates
    assert best.keys() == expected
    for (group, name), (parameter, value) in best.items():
        own = rows[(rows["group"] == group) & (rows["method"] == name)]
        assert methods.known()[name].candidates == (parameter, tuple(own["value"].unique()))
        assert set(own["seed"]) == set(settings.choice.seeds)
        given = methods.get(name, getattr(settings, group)[name])
        assert getattr(given, parameter) == value, f"params/desk.yaml: {group}.{name}.{parameter}"
