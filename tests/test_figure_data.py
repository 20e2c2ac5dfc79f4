"""The numbers behind the figures, from hand-made outcomes."""

import numpy as np
import pandas as pd
import pytest
import torch

from regl_core.params import load
from regl_core.partition import IID, Dirichlet, SingleLabel
from regl_core.report import RUN, ClientImagesRun, DistanceRun, UpdateRun, figure_data
from regl_core.report.figure_data import Distances, LocalUpdates

SMOKE = load("smoke")
MILD, SKEWED = Dirichlet(beta=0.5, clients=3), Dirichlet(beta=0.01, clients=4)
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NAN = float("nan")


def run(kind=UpdateRun, method="FedAvg", partition=MILD, seed=0, **more):
    fields = dict(dataset="digits", partition=partition, method=method, seed=seed, settings=SMOKE)
    return kind(**fields, **more)


def test_ownership_has_every_image_once():
    owned = figure_data.ownership("digits", [SKEWED, MILD, IID(clients=3)], (0, 1), SMOKE)
    assert list(owned.columns) == [*RUN, "client", "class", "images"]
    assert len(owned) == 2 * 10 * (4 + 3 + 3)
    assert set(owned["method"]) == {"partition"} and set(owned["dataset"]) == {"digits"}
    sums = owned.groupby(["setting", "seed", "class"])["images"].sum()
    assert len(sums) == 3 * 2 * 10 and set(sums) == {6}  # train_per_class
    assert tuple(owned["class"][:10]) == NAMES
    iid = owned[owned["setting"] == "iid"].groupby(["seed", "client"])["images"].sum()
    assert set(iid) == {20}


def test_ownership_of_single_labels_is_a_diagonal():
    owned = figure_data.ownership("digits", [SingleLabel()], (0,), SMOKE)
    assert np.array_equal(figure_data.ownership_matrix(owned), 6 * np.eye(10, dtype=int))


def test_a_matrix_keeps_the_order_of_clients_and_classes():
    rows = [(client, name) for client in (0, 1, 10, 2) for name in ("zebra", "ape")]
    owned = pd.DataFrame(rows, columns=["client", "class"]).assign(images=range(8))
    assert figure_data.ownership_matrix(owned).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_skew_by_hand():
    def part(setting, counts):
        return pd.DataFrame(
            [
                ("d", setting, "partition", 0, client, name, images)
                for client, own in enumerate(counts)
                for name, images in zip("ab", own, strict=True)
            ],
            columns=[*RUN, "client", "class", "images"],
        )

    found = figure_data.skew(pd.concat([part("x", [(5, 0), (1, 4), (0, 0)]), part("y", [(2, 3)])]))
    assert found.loc[("d", "x")].to_dict() == {
        "classes per client": 1.0,
        "fewest images": 0,
        "most images": 5,
        "clients without images, %": 33.3,
    }
    assert found.loc[("d", "y")].tolist() == [2.0, 5, 5, 0.0]


def updates(real, after, silhouette, before=None, method="FedAvg"):
    """Of clients of which each owns, reaches and separates as given, all ten classes alike."""

    def rows(values):
        return torch.tensor([[float(v) for v in own] for own in values])

    real = torch.tensor(real)
    return LocalUpdates(
        run(method=method, seed=7),
        real,
        torch.full_like(real, 2),
        torch.tensor(before or [50.0] * 10),
        rows(after),
        rows(silhouette),
        torch.zeros(len(real), 1, 1),
        torch.zeros(1, dtype=torch.int64),
    )


# The first client owns two classes, the second none, the third all.
MADE = updates(
    real=[[3, 1] + [0] * 8, [0] * 10, [1] * 10],
    after=[[90, 80] + [10] * 8, [NAN] * 10, [60.004] * 10],
    silhouette=[[0.5, 0.3] + [-0.1, 0.1, 0.2, 0.2] * 2, [NAN] * 10, [0.25] * 10],
)


def test_clients_with_images_are_ordered_by_what_they_own():
    assert MADE.clients == [0, 2]
    assert updates([[1] * 10, [4] + [0] * 9], [[0] * 10] * 2, [[0] * 10] * 2).clients == [1, 0]


def test_per_class_has_a_row_per_client_with_images_and_class():
    rows = figure_data.accuracy_per_class([MADE], NAMES)
    assert list(rows.columns) == [
        *("dataset", "setting", "method", "seed"),
        *("client", "class", "real", "synthetic", "before_pct", "after_pct"),
    ]
    assert rows[["client", "class"]].values.tolist() == [[c, n] for c in (0, 2) for n in NAMES]
    first = ["digits", "beta=0.5", "FedAvg", 7, 0, "zero", 3, 2, 50.0, 90.0]
    assert rows.iloc[0].tolist() == first
    assert set(rows.loc[rows["client"] == 2, "after_pct"]) == {60.0}


def test_separation_means_owned_and_lacking_classes_apart():
    rows = figure_data.separation([MADE]).set_index("client")
    means = rows.loc[0, ["silhouette_lacking", "silhouette_owned"]].tolist()
    assert means == pytest.approx([0.1, 0.4], abs=1e-6)
    assert np.isnan(rows.loc[2, "silhouette_lacking"])  # it lacks none
    assert rows.loc[2, "silhouette_owned"] == 0.25
    assert list(rows.index) == [0, 2]


def test_distances_have_a_row_per_run():
    made = [
        Distances(run(DistanceRun, method, seed=seed), 0.1234567, 2.5, {})
        for method in ("ReGL (TF)", "ReGL (FT)")
        for seed in (0, 1)
    ]
    rows = figure_data.image_distances(made)
    assert rows.iloc[3].tolist() == ["digits", "beta=0.5", "ReGL (FT)", 1, 0.12346, 2.5]
    assert list(rows.columns[-2:]) == ["kernel_distance", "frechet_distance"]


def test_stars_mark_what_a_client_lacks():
    drawn = run(ClientImagesRun, "ReGL (FT)", SKEWED, client=1)
    owned = figure_data.ownership_matrix(figure_data.ownership("digits", [SKEWED], [0], SMOKE))[1]
    assert 0 < (owned > 0).sum() < 10
    expected = [name if n else f"{name} *" for name, n in zip(NAMES, owned, strict=True)]
    assert figure_data.marked_classes(drawn) == expected
