"""The numbers of the figures, as rows of their CSV: what pictures and verdicts are made from."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..params import Settings
from ..partition import PartitionSpec, counts
from ..runs import Run
from .layout import RUN

if TYPE_CHECKING:  # who draws accuracies needs neither stages nor torch
    from torch import Tensor

    from ..data import Dataset
    from .analyses import Distances, DrawnRun, LocalUpdates


def place(run: Run) -> list[str | int]:
    """The first columns of every CSV: data set, setting, method, seed."""
    return [run.dataset, run.partition.setting, run.method, run.seed]


def classes(dataset: str, settings: Settings) -> tuple[str, ...]:
    """The names of the classes of a data set."""
    return _images(dataset, settings).classes


def _images(dataset: str, settings: Settings) -> "Dataset":
    from ..pipeline import Pipeline

    return Pipeline().source(dataset, settings)[1]


def ownership(
    dataset: str, partitions: Sequence[PartitionSpec], seeds: Sequence[int], settings: Settings
) -> pd.DataFrame:
    """Who owns how many images of what: a row per partition, seed, client and class (Fig. 3)."""
    images = _images(dataset, settings)
    labels, names = images.train.labels, images.classes
    rows = [
        [dataset, partition.setting, "partition", seed, client, name, count]
        for partition in partitions
        for seed in seeds
        for parts in [partition.split(labels, len(names), seed)]
        for client, own in enumerate(counts(labels, parts, len(names)).tolist())
        for name, count in zip(names, own, strict=True)
    ]
    return pd.DataFrame(rows, columns=[*RUN, "client", "class", "images"])


def matrix(owned: pd.DataFrame) -> np.ndarray:
    """`ownership` of one partition and seed as numbers of images, int (clients, classes)."""
    table = owned.pivot_table("images", "client", "class", sort=False)
    return table.to_numpy().astype(int)


def per_class(updates: "Sequence[LocalUpdates]", names: Sequence[str]) -> pd.DataFrame:
    """Accuracies on each class before and after a local update, and the images behind it (Fig. 7).

    names : of the classes of the data set, which is the same for all. A row per run, client with
    images, and class; NaN for a class without test images.
    """
    rows = [
        [*place(it.run), client, name, *values]
        for it in updates
        for client in sorted(it.clients)
        for name, *values in zip(
            names,
            it.real[client].tolist(),
            it.synthetic[client].tolist(),
            it.before_pct.tolist(),
            it.after_pct[client].tolist(),
            strict=True,
        )
    ]
    values = ["real", "synthetic", "before_pct", "after_pct"]
    return pd.DataFrame(rows, columns=[*RUN, "client", "class", *values]).round(2)


def separation(updates: "Sequence[LocalUpdates]") -> pd.DataFrame:
    """Mean silhouettes of the classes a client lacks and of those it owns (Fig. 4).

    A row per run and client with images; NaN where it lacks none.
    """
    rows = []
    for it in updates:
        for client in sorted(it.clients):
            owned, apart = (it.real[client] > 0).numpy(), it.silhouette[client].numpy()
            means = [apart[own].mean() if own.any() else np.nan for own in (~owned, owned)]
            rows.append([*place(it.run), client, *means])
    values = ["silhouette_lacking", "silhouette_owned"]
    return pd.DataFrame(rows, columns=[*RUN, "client", *values]).round(4)


def distances(found: "Sequence[Distances]") -> pd.DataFrame:
    """How far synthetic images lie from the real ones, a row per run (Fig. 6)."""
    rows = [[*place(it.run), it.kernel, it.frechet] for it in found]
    return pd.DataFrame(rows, columns=[*RUN, "kernel_distance", "frechet_distance"]).round(5)


def joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """One frame after the other."""
    return pd.concat(list(parts), ignore_index=True)


def skew(owned: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Of `ownership`: classes a client owns on average, its images, and clients that own none."""
    clients = joined(owned).groupby(["dataset", "setting", "seed", "client"], sort=False)["images"]
    each = pd.DataFrame(
        {"images": clients.sum(), "classes": clients.agg(lambda own: (own > 0).sum())}
    )
    groups = each.groupby(["dataset", "setting"], sort=False)
    return pd.DataFrame(
        {
            "classes per client": groups["classes"].mean().round(1),
            "fewest images": groups["images"].min(),
            "most images": groups["images"].max(),
            "clients without images, %": groups["images"].agg(lambda own: 100 * (own == 0).mean()),
        }
    ).round(1)


def with_images(runs: pd.DataFrame) -> pd.DataFrame:
    """`runs` with the number of images that their setting names, ``beta=0.5;images=15``."""
    found = runs["setting"].str.extract(r"images=(\d+)", expand=False)
    return runs.assign(images=found.astype(int))


def change(rows: pd.DataFrame) -> pd.DataFrame:
    """Of `per_class`: mean change of accuracy in points, by method and by what a client owns."""
    owned = np.where(rows["real"] > 0, "classes it owns", "classes it lacks")
    points = rows["after_pct"] - rows["before_pct"]
    means = points.groupby([rows["method"], owned], sort=False).mean()
    return means.unstack().round(1)


def real_images(dataset: str, settings: Settings, count: int = 8) -> "Tensor":
    """The first real training images of each class, uint8 (classes, count, 3, side, side)."""
    return _images(dataset, settings).train.by_class(count)


def marked(run: "DrawnRun") -> list[str]:
    """The classes of a run, with a star after those of which its client owns no image."""
    owned = matrix(ownership(run.dataset, [run.partition], [run.seed], run.settings))[run.client]
    names = classes(run.dataset, run.settings)
    return [name if count else f"{name} *" for name, count in zip(names, owned, strict=True)]
