"""What figures look at beside accuracies: local updates, distances between images, images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ReglError
from ..runs import Run

if TYPE_CHECKING:
    from torch import Tensor

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
                "class: there is nothing to measure; take a method that draws images, and some"
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
