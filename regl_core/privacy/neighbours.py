"""Are synthetic images copies? Their nearest real neighbours (`leakage`)."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..data import resized
from ..engine import Checkpoint, Stage, stepwise
from ..stages import Embedded, EmbeddedReal, EmbeddedTest, Tick, load_images
from . import leakage

SHARES = (0.01, 0.05)  # of held-out images: what counts as suspiciously near


@dataclass(frozen=True)
class Neighbours(Stage):
    """How near the images that a client draws of its own classes come to its training images.

    Writes neighbours.json: for "features" (1 − cosine) and "pixels" (grey levels) each

    made, held_out
        Median distance to the nearest training image of the client of the same class, of drawn
        images and of the test images of the class.
    nearer_1_pct, nearer_5_pct
        Share of drawn images nearer than 1 and 5 % of the test images of their class.
    own_first_pct
        Share of drawn images whose nearest neighbour is a training image, among as many of these
        as of test images; 50 if nothing is copied (`leakage.own_first`).

    indices: of the client's images in the training set.
    """

    real: EmbeddedReal
    held_out: EmbeddedTest
    made: Embedded
    indices: tuple[int, ...]

    def needs(self) -> tuple[Stage, ...]:
        return self.real, self.held_out, self.made, self.made.images

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        dataset, index = self.real.source.load(), list(self.indices)
        labels, others = dataset.train.labels[index], dataset.test.labels
        real, held_out, drawn = (load_file(it / "features.safetensors") for it in inputs[:3])
        images = resized(load_images(inputs[3]), dataset.train.images.shape[-1])
        embedded = drawn["features"], real["features"], held_out["features"]
        seen = images, dataset.train.images, dataset.test.images
        spaces = ((leakage.cosine_distances, *embedded), (leakage.pixel_distances, *seen))
        classes = labels.unique().tolist()

        def of_class(number: int) -> list[Tensor]:
            distances, made, train, test = spaces[number // len(classes)]
            k = classes[number % len(classes)]
            own, strange = train[index][labels == k], test[others == k]
            pairs = (made[k], own), (strange, own), (made[k], strange)
            return [distances(*pair) for pair in pairs]

        checkpoint = Checkpoint(folder, "classes")
        near = stepwise(of_class, 2 * len(classes), (), checkpoint, tick)
        found = {"features": _near(near[: len(classes)]), "pixels": _near(near[len(classes) :])}
        (folder / "neighbours.json").write_text(json.dumps(found))


def _near(classes: list[list[Tensor]]) -> dict[str, float]:
    """The report on distances (made, own), (held-out, own) and (made, held-out) of each class."""
    pairs = [[to_own.min(1).values for to_own in both] for *both, _ in classes]
    made, held_out = (torch.cat(nearest) for nearest in zip(*pairs, strict=True))
    nearer = {
        share: torch.cat([leakage.nearer(*pair, share) for pair in pairs]).double().mean()
        for share in SHARES
    }
    first = [leakage.own_first(to_own, to_others) for to_own, _, to_others in classes]
    return {
        "made": float(made.median()),
        "held_out": float(held_out.median()),
        **{f"nearer_{100 * share:.0f}_pct": 100 * float(it) for share, it in nearer.items()},
        "own_first_pct": 100 * float(torch.cat(first).mean()),
    }
