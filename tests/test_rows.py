"""Which column and row a result belongs to: exactly the strings of the published tables."""

import pytest

from regl_core.paper import published
from regl_core.params import load
from regl_core.partition import IID, Dirichlet, GlobalShare, Pooled, SingleLabel
from regl_core.report import rows
from regl_core.runs import PersonalResult, PersonalRun, Result, Run

PAPER = load("paper")
BETAS = (0.01, 0.05, 0.1, 0.3, 0.5)


def result(partition, method="FedAvg", dataset="imagefruit", settings=PAPER):
    run = Run(dataset=dataset, partition=partition, method=method, seed=0, settings=settings)
    return Result(run, (50.0,))


def settings_of(table: int, dataset: str = "imagefruit") -> set[str]:
    paper = published(table)
    return set(paper.loc[paper["dataset"] == dataset, "setting"])


def test_concentrations_and_iid_are_those_of_table_5():
    partitions = [Dirichlet(beta=beta, clients=5) for beta in BETAS] + [IID(clients=5)]
    found = [rows.by_partition(result(partition)) for partition in partitions]
    assert {setting for setting, _ in found} == settings_of(5)
    assert {method for _, method in found} == {"FedAvg"}


@pytest.mark.parametrize(
    ("table", "partitions"),
    [
        (2, [Dirichlet(beta=0.01, clients=5), Dirichlet(beta=0.5, clients=5), Pooled()]),
        (3, [SingleLabel()]),
        (4, [Dirichlet(beta=0.01, clients=5), Dirichlet(beta=0.5, clients=5)]),
    ],
)
def test_partitions_are_those_of_tables_2_to_4(table, partitions):
    found = {
        rows.by_partition(result(partition, "Centralized" if partition == Pooled() else "FedAvg"))[
            0
        ]
        for partition in partitions
    }
    assert found == settings_of(table)


@pytest.mark.parametrize("dataset", ["imagefruit", "imagenet100"])
def test_epochs_are_those_of_table_6(dataset):
    found = {
        rows.by_epochs(
            result(
                Dirichlet(beta=beta, clients=5),
                dataset=dataset,
                settings=PAPER.altered({"training.local_epochs": epochs}),
            )
        )
        for beta in (0.01, 0.5)
        for epochs in (1, 5, 10, 20)
    }
    assert found == {(setting, "FedAvg") for setting in settings_of(6, dataset)}


@pytest.mark.parametrize(
    ("dataset", "clients"), [("imagefruit", (5, 50, 100)), ("imagenet100", (10, 50, 100))]
)
def test_clients_are_those_of_table_7(dataset, clients):
    found = {
        rows.by_clients(result(Dirichlet(beta=0.01, clients=n), dataset=dataset)) for n in clients
    }
    assert found == {(setting, "FedAvg") for setting in settings_of(7, dataset)}


def test_shares_and_tasks_are_those_of_table_1():
    base = Dirichlet(beta=0.01, clients=5)
    found = set()
    for share in (0.0, 0.05, 0.1, 0.2, 0.3):
        fields = dict(dataset="imagefruit", method="FedAvg", seed=0, settings=PAPER)
        given = GlobalShare(share=share, base=base)
        found.add(rows.by_task(Result(Run(partition=given, **fields), (50.0,))))
        personal = PersonalRun(partition=given, **fields)
        found.add(rows.by_task(PersonalResult(personal, ((50.0,),))))
    paper = published(1)
    assert found == set(zip(paper["setting"], paper["method"], strict=True)) and len(found) == 10


@pytest.mark.parametrize(
    ("method", "count", "setting"),
    [
        ("ReGL (TF)", 500, "beta=0.5;images=500"),
        ("ReGL (FT)", 4000, "beta=0.5;images=4000"),
        ("ReGL (FT)", 0, "beta=0.5;images=0"),
        ("FedAvg", 500, "beta=0.5;images=0"),  # it uses none, however many are set
    ],
)
def test_images_of_figure_5_are_those_a_method_uses(method, count, setting):
    settings = PAPER.altered({"datasets.imagefruit.synthetic_per_class": count})
    one = result(Dirichlet(beta=0.5, clients=5), method, settings=settings)
    assert rows.by_volume(one) == (setting, method)
