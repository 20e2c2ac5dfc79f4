"""What figures look at beside accuracies, and their numbers as rows of a CSV.

Local updates, distances between images, images themselves; who owns what.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ReglError
from ..params import Settings
from ..runs import Run
from .rows import RUN

if TYPE_CHECKING:  # numbers are arranged without loading what computes them
    import pandas as pd
    from torch import Tensor

    from ..data import Dataset
    from ..partition import PartitionSpec
    from ..pipeline import Pipeline, Synthetic
    from ..stages import Distance, Updated


@dataclass(frozen=True)
class LocalUpdates:
    """What one local update of every client does to the final global model of a run.

    Attributes
    ----------
    real, synthetic
        int64 (clients, classes): numbers of images.
    before_pct
        float32 (classes,): the global model's accuracy on the test images of each class, in %.
    after_pct
        float32 (clients, classes): the same of each client's updated model; NaN for a client
        without images.
    silhouette
        float32 (clients, classes): how well a class's test images lie apart from the others in
        the updated model's last features, −1 to 1; NaN as before.
    features, labels
        float32 (clients, n, d), these features of some test images, and int64 (n,).
    """

    run: UpdateRun
    real: Tensor
    synthetic: Tensor
    before_pct: Tensor
    after_pct: Tensor
    silhouette: Tensor
    features: Tensor
    labels: Tensor

    @property
    def clients(self) -> list[int]:
        """The clients that have real images, those of the fewest classes first."""
        owned = (self.real > 0).sum(1)
        return sorted(owned.nonzero()[:, 0].tolist(), key=lambda client: int(owned[client]))


class UpdateRun(Run):
    """A run whose outcome is what a further local update does (Figures 4 and 7)."""

    def stage(self, pipeline: Pipeline) -> Updated:
        from ..stages import Updated

        return Updated(super().stage(pipeline))

    def result(self, folder: Path) -> LocalUpdates:
        from safetensors.torch import load_file

        classes, features = (
            load_file(folder / f"{it}.safetensors") for it in ("classes", "features")
        )
        return LocalUpdates(self, **classes, **features)


@dataclass(frozen=True)
class Distances:
    """How far the synthetic images of a run lie from the real ones (`distances`).

    points: unit features, "real" (n, d) and "synthetic" (m, d), to draw.
    """

    run: DistanceRun
    kernel: float
    frechet: float
    points: dict[str, Tensor]


class DistanceRun(Run):
    """A run whose outcome is how far its clients' images lie from the real ones (Figure 6)."""

    def stage(self, pipeline: Pipeline) -> Distance:
        from ..stages import Distance, Embedded, EmbeddedReal

        trained = super().stage(pipeline)
        pieces = trained.needs()
        if not pieces:
            raise ReglError(
                f"method {self.method!r} with {trained.synthetic_per_class} synthetic images per "
                "class: there is nothing to measure; take a method that generates images, and some"
            )
        real = EmbeddedReal(pieces[0].models, trained.source)
        return Distance(real, tuple(map(Embedded, pieces)))

    def result(self, folder: Path) -> Distances:
        from safetensors.torch import load_file

        found = json.loads((folder / "distance.json").read_text())
        return Distances(self, **found, points=load_file(folder / "points.safetensors"))


class ClientImagesRun(Run):
    """A run of which only one client's images are looked at (Figure 8).

    uint8 (classes, n, 3, side, side).
    """

    client: int

    def stage(self, pipeline: Pipeline) -> Synthetic:
        return super().stage(pipeline).synthetic[self.client][0]

    def result(self, folder: Path) -> Tensor:
        from ..stages import load_images

        return load_images(folder)


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
