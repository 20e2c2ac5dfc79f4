"""The numbers of the figures, as rows of their CSV: what pictures and verdicts are made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..params import Settings
from .rows import RUN

if TYPE_CHECKING:  # numbers are arranged without loading what computes them
    import pandas as pd

    from ..data import Dataset
    from ..partition import PartitionSpec
    from ..runs import Run
    from .analyses import ClientImagesRun, Distances, LocalUpdates


def place(run: Run) -> list[str | int]:
    """The first columns of every CSV: data set, setting, method, seed."""
    return [run.dataset, run.partition.setting, run.method, run.seed]


def class_names(dataset: str, settings: Settings) -> tuple[str, ...]:
    """The names of the classes of a data set."""
    return _data(dataset, settings).classes


def _data(dataset: str, settings: Settings) -> Dataset:
    from ..pipeline import Pipeline

    return Pipeline().source(dataset, settings)[1]


def ownership(
    dataset: str, partitions: Sequence[PartitionSpec], seeds: Sequence[int], settings: Settings
) -> pd.DataFrame:
    """Who owns how many images of what: a row per partition, seed, client and class (Fig. 3)."""
    import pandas as pd

    from ..partition import counts

    images = _data(dataset, settings)
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


def ownership_matrix(owned: pd.DataFrame) -> np.ndarray:
    """`ownership` of one partition and seed as numbers of images, int (clients, classes)."""
    table = owned.pivot_table("images", "client", "class", sort=False)
    return table.to_numpy().astype(int)


def skew(owned: pd.DataFrame) -> pd.DataFrame:
    """Of `ownership`: classes a client owns on average, its images, and clients that own none."""
    import pandas as pd

    clients = owned.groupby(["dataset", "setting", "seed", "client"], sort=False)["images"]
    images, classes = clients.sum(), clients.agg(lambda own: (own > 0).sum())
    groups = images.groupby(["dataset", "setting"], sort=False)
    found = {
        "classes per client": classes.groupby(["dataset", "setting"], sort=False).mean().round(1),
        "fewest images": groups.min(),
        "most images": groups.max(),
        "clients without images, %": groups.agg(lambda own: 100 * (own == 0).mean()),
    }
    return pd.DataFrame(found).round(1)


def marked_classes(run: ClientImagesRun) -> list[str]:
    """The classes of a run, with a star after those of which its client owns no image."""
    owned = ownership(run.dataset, [run.partition], [run.seed], run.settings)
    own = owned[owned["client"] == run.client]
    return [*own["class"].where(own["images"] > 0, own["class"] + " *")]


def accuracy_per_class(updates: Sequence[LocalUpdates], names: Sequence[str]) -> pd.DataFrame:
    """Accuracies on each class before and after a local update, and the images behind it (Fig. 7).

    names : of the classes of the data set, which is the same for all. A row per run, client with
    images, and class; NaN for a class without test images.
    """
    import pandas as pd

    parts = [
        pd.DataFrame(
            {
                **dict(zip(RUN, place(it.run), strict=True)),
                "client": client,
                "class": names,
                "real": it.real[client].tolist(),
                "synthetic": it.synthetic[client].tolist(),
                "before_pct": it.before_pct.tolist(),
                "after_pct": it.after_pct[client].tolist(),
            }
        )
        for it in updates
        for client in sorted(it.clients)
    ]
    return pd.concat(parts, ignore_index=True).round(2)


def separation(updates: Sequence[LocalUpdates]) -> pd.DataFrame:
    """Mean silhouettes of the classes a client lacks and of those it owns (Fig. 4).

    A row per run and client with images; NaN where it lacks none.
    """
    import pandas as pd

    rows = []
    for it in updates:
        for client in sorted(it.clients):
            owned, apart = (it.real[client] > 0).numpy(), it.silhouette[client].numpy()
            means = [apart[own].mean() if own.any() else np.nan for own in (~owned, owned)]
            rows.append([*place(it.run), client, *means])
    values = ["silhouette_lacking", "silhouette_owned"]
    return pd.DataFrame(rows, columns=[*RUN, "client", *values]).round(4)


def image_distances(found: Sequence[Distances]) -> pd.DataFrame:
    """How far synthetic images lie from the real ones, a row per run (Fig. 6)."""
    import pandas as pd

    rows = [[*place(it.run), it.kernel, it.frechet] for it in found]
    return pd.DataFrame(rows, columns=[*RUN, "kernel_distance", "frechet_distance"]).round(5)
