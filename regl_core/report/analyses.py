"""What figures look at beside accuracies: local updates, distances between images, images."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ..errors import ReglError
from ..pipeline import Pipeline, Synthetic
from ..runs import Run
from ..stages.embedded import Distance, Embedded, EmbeddedReal
from ..stages.updated import Updated
from ..stages.vanilla_images import load_images


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

    run: "UpdateRun"
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
        return Updated(super().stage(pipeline))

    def result(self, folder: Path) -> LocalUpdates:
        files = ("classes.safetensors", "features.safetensors")
        tensors = {
            name: value for file in files for name, value in load_file(folder / file).items()
        }
        return LocalUpdates(self, **tensors)


@dataclass(frozen=True)
class Distances:
    """How far the synthetic images of a run lie from the real ones (`distances`).

    points: unit features, "real" (n, d) and "synthetic" (m, d), to draw.
    """

    run: "DistanceRun"
    kernel: float
    frechet: float
    points: dict[str, Tensor]


class DistanceRun(Run):
    """A run whose outcome is how far its clients' images lie from the real ones (Figure 6)."""

    def stage(self, pipeline: Pipeline) -> Distance:
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
        found = json.loads((folder / "distance.json").read_text())
        return Distances(self, **found, points=load_file(folder / "points.safetensors"))


@dataclass(frozen=True)
class Drawn:
    """Images that one client draws: uint8 (classes, n, 3, side, side)."""

    run: "DrawnRun"
    images: Tensor


class DrawnRun(Run):
    """A run of which only images are looked at, those of one client (Figure 8)."""

    client: int

    def stage(self, pipeline: Pipeline) -> Synthetic:
        return super().stage(pipeline).synthetic[self.client][0]

    def result(self, folder: Path) -> Drawn:
        return Drawn(self, load_images(folder))
