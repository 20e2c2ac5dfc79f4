"""Which column and row a result belongs to: exactly the strings of the published tables."""

import pytest
from toy_results import result as toy_result

from regl_core.errors import ReglError
from regl_core.paper import published
from regl_core.params import load
from regl_core.partition import IID, Dirichlet, GlobalShare, Pooled, SingleLabel
from regl_core.report import rows
from regl_core.runs import PersonalResult, PersonalRun, Result, Run

PAPER = load("paper")
BETAS = (0.01, 0.05, 0.1, 0.3, 0.5)
TWO = [Dirichlet(beta=0.01, clients=5), Dirichlet(beta=0.5, clients=5)]


def result(partition, method="FedAvg", dataset="imagefruit", settings=PAPER):
    run = Run(dataset=dataset, partition=partition, method=method, seed=0, settings=settings)
    return Result(run, (50.0,))


def settings_of(table: int, dataset: str = "imagefruit") -> set[str]:
    paper = published(table)
    return set(paper.loc[paper["dataset"] == dataset, "setting"])


@pytest.mark.parametrize(
    ("table", "partitions"),
    [
        (2, [*TWO, Pooled()]),
        (3, [SingleLabel()]),
        (4, TWO),
        (5, [*(Dirichlet(beta=beta, clients=5) for beta in BETAS), IID(clients=5)]),
    ],
)
def test_partitions_are_those_of_tables_2_to_5(table, partitions):
    methods = ["Centralized" if it == Pooled() else "FedAvg" for it in partitions]
    found = list(map(rows.by_partition, map(result, partitions, methods)))
    assert {setting for setting, _ in found} == settings_of(table)
    assert [method for _, method in found] == methods


@pytest.mark.parametrize("dataset", ["imagefruit", "imagenet100"])
def test_epochs_are_those_of_table_6(dataset):
    found = {
        rows.by_epochs(result(partition, dataset=dataset, settings=altered))
        for partition in TWO
        for epochs in (1, 5, 10, 20)
        for altered in [PAPER.altered({"training.local_epochs": epochs})]
    }
    assert found == {(setting, "FedAvg") for setting in settings_of(6, dataset)}


@pytest.mark.parametrize(
    ("dataset", "clients"), [("imagefruit", (5, 50, 100)), ("imagenet100", (10, 50, 100))]
)
def test_clients_are_those_of_table_7(dataset, clients):
    partitions = [Dirichlet(beta=0.01, clients=n) for n in clients]
    found = {rows.by_clients(result(it, dataset=dataset)) for it in partitions}
    assert found == {(setting, "FedAvg") for setting in settings_of(7, dataset)}


def test_shares_and_tasks_are_those_of_table_1():
    found = set()
    for share in (0.0, 0.05, 0.1, 0.2, 0.3):
        given = GlobalShare(share=share, base=TWO[0])
        fields = dict(dataset="imagefruit", method="FedAvg", seed=0, settings=PAPER)
        personal = PersonalRun(partition=given, **fields)
        found |= {
            rows.by_task(result(given)),
            rows.by_task(PersonalResult(personal, ((50.0,),))),
        }
    paper = published(1)
    assert found == set(zip(paper["setting"], paper["method"], strict=True)) and len(found) == 10


@pytest.mark.parametrize(
    ("method", "count", "setting"),
    [
        ("ReGL (TF)", 500, "beta=0.5;images=500"),
        ("ReGL (FT)", 0, "beta=0.5;images=0"),
        ("FedAvg", 500, "beta=0.5;images=0"),  # it uses none, however many are set
    ],
)
def test_images_of_figure_5_are_those_a_method_uses(method, count, setting):
    settings = PAPER.altered({"datasets.imagefruit.synthetic_per_class": count})
    assert rows.by_volume(result(TWO[1], method, settings=settings)) == (setting, method)


def test_what_a_table_cannot_tell_apart_and_no_results_are_refused():
    twice = [toy_result("FedAvg", Dirichlet(beta=0.5, clients=n), 0, 50.0) for n in (5, 10)]
    with pytest.raises(ReglError, match=r"FedAvg on digits, beta=0\.5, seed 0"):
        rows.gather(twice)
    with pytest.raises(ReglError, match="no results"):
        rows.gather([])
