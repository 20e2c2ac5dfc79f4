"""How good a foundation is: images of it, vanilla or tuned on some classes, put to the test.

What a network learns from them, and what one that knows the real images sees in them. `Judge` and
`Probed` are the stages, a `Probe` is what a notebook asks for.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .. import conditions
from ..clients import ClientData, placed
from ..data import Dataset, resized
from ..engine import Checkpoint, Stage
from ..foundation import Foundation
from ..hub import SHIPPED
from ..images import Images
from ..params import ProbeSettings, Settings, TrainingSettings
from ..pipeline import Pipeline
from ..seeds import torch_generator
from ..settings import Frozen
from ..stages import (
    LoraImages,
    Models,
    Source,
    Tick,
    Vanilla,
    load_images,
    network,
    plain,
    save_images,
)
from ..training import evaluate, in_memory, repeatable, train_epochs

FACES = SHIPPED / "faces.png"  # rows of ten digits, each 16 × 16 pixels, grey


@dataclass(frozen=True)
class Judge(Stage):
    """A network trained on all real images, training and test set. Writes weights.safetensors."""

    source: Source
    training: TrainingSettings
    probe: ProbeSettings
    seed: int

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        dataset = self.source.load()
        both = dataset.train, dataset.test
        images = Images.joined([split.images for split in both])
        real = ClientData(images, torch.cat([split.labels for split in both]))
        net = self.taught(dataset, real, "judge", folder, tick)
        save_file(net.state_dict(), folder / "weights.safetensors")

    def taught(
        self, dataset: Dataset, data: ClientData, word: str, folder: Path, tick: Tick
    ) -> nn.Module:
        """A network that has learnt `data`: momentum, and a cosine to rate zero, so it settles.

        word : of the seed its batches are drawn from. folder : of the stage, for what outlives a
        kill.
        """
        net, how = network(dataset, self.training, self.seed), self.probe
        optimiser = torch.optim.SGD(
            net.parameters(), how.rate, how.momentum, weight_decay=how.weight_decay
        )
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, how.epochs)
        (data,) = placed([data], next(net.parameters()).device)

        def end(number: int) -> None:
            decay.step()
            tick((number + 1) / how.epochs)

        path, checkpoint = (self.seed, word), Checkpoint(folder, "epochs")
        each, hooks = [optimiser] * how.epochs, {"end": end, "schedules": [decay]}
        with repeatable(), in_memory("training a network that judges images", self.training):
            train_epochs(net, each, data, self.training, path, checkpoint, **hooks)
        return net


@dataclass(frozen=True)
class Probed(Stage):
    """Writes probe.json: accuracy_pct, agreement_pct of every class, spread and real_spread.

    accuracy_pct: of a network trained on the synthetic images alone, on the real test
    images. agreement_pct: the share of a class's synthetic images that the judge, who knows
    the real ones, takes for that class. spread: how much images of one class differ
    (`spread`), and the same of as many real training images of each class as every class has.
    """

    judge: Judge
    images: "Vanilla | LoraImages | Typeset"

    def needs(self) -> tuple[Stage, ...]:
        return self.judge, self.images

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        judge, synthetic = inputs
        dataset, precision = self.judge.source.load(), self.judge.training.precision
        made = load_images(synthetic)
        labels = torch.arange(len(made)).repeat_interleave(made.shape[1])
        data = ClientData(made.flatten(0, 1), labels)
        net = self.judge.taught(dataset, data, "probe", folder, tick)
        accuracy = evaluate(net, plain(dataset.test), precision)
        net.load_state_dict(load_file(judge / "weights.safetensors"))
        classes = [data.subset(labels == k) for k in range(len(made))]
        foundation, checkpoint = self.images.models.load(), Checkpoint(folder, "epochs")
        fewest = int(dataset.train.labels.bincount().min())
        real = resized(dataset.train.by_class(fewest), foundation.image_side)
        report = {
            "accuracy_pct": accuracy,
            "agreement_pct": [evaluate(net, own, precision) for own in classes],
            "spread": spread(foundation, made, checkpoint / "made"),
            "real_spread": spread(foundation, real, checkpoint / "real"),
        }
        (folder / "probe.json").write_text(json.dumps(report))


def spread(foundation: Foundation, images: Tensor, checkpoint: Checkpoint | None = None) -> float:
    """How much images of one class differ: mean 1 − cosine of their features, over all pairs.

    images: uint8 (classes, n, 3, side, side), n at least 2. 0 means n copies of one image.
    `checkpoint`: as in `conditions.captions`.
    """
    classes, n = images.shape[:2]
    unit = conditions.features(foundation, images.flatten(0, 1), checkpoint).view(classes, n, -1)
    # The cosines of all pairs, twice, and those of each image with itself, 1.
    total = (unit.sum(1).square().sum(1) - n).mean()
    return 1 - float(total) / (n * (n - 1))


class Probe(Frozen):
    """Images of every class, and what they came from.

    title: what a table calls it; probes of several seeds share one. owned: the classes on
    whose training images the model was tuned; empty for the model as it is. `settings.probe`
    says how many images are made and how the networks are trained.
    """

    title: str
    dataset: str
    owned: tuple[int, ...]
    seed: int
    settings: Settings

    def stage(self, pipeline: Pipeline) -> Probed:
        """The stage that computes this, with all that it needs."""
        source, dataset = pipeline.source(self.dataset, self.settings)
        labels, how = dataset.train.labels, self.settings.probe
        index = torch.isin(labels, torch.tensor(self.owned)).nonzero()[:, 0].tolist()
        its = self.settings.altered({"synthesis.per_stage": how.images_per_class})
        free = pipeline.vanilla(self.dataset, dataset.classes, its, self.seed, client=0)
        tuned = LoraImages(pipeline.tuned(free, source, index, its), start=0) if index else None
        return Probed(Judge(source, pipeline.training(its.training), how, self.seed), tuned or free)

    def result(self, folder: Path) -> "Probing":
        """What `folder`, written by the stage of this probe, says."""
        return Probing(self, **json.loads((folder / "probe.json").read_text()))


@dataclass(frozen=True)
class Typeset(Stage):
    """The typefaces that the shipped model learnt from, in the style of scanned digits.

    What it could draw at best. Writes images.safetensors as `Vanilla` does, from FACES.
    models: with whose features their spread is measured.
    """

    models: Models
    digest: str  # SHA-256 of FACES, hex

    def count(self) -> int:
        """Number of images."""
        return len(self.images().flatten(0, 1))

    def images(self) -> Tensor:
        """uint8 (10, n, 3, 16, 16)."""
        from PIL import Image

        grey = torch.from_numpy(np.array(Image.open(FACES)))
        each = grey.unflatten(1, (10, -1)).unflatten(0, (-1, grey.shape[1] // 10))
        return each.permute(2, 0, 1, 3)[:, :, None].expand(-1, -1, 3, -1, -1)

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        images = self.images()
        save_images(folder, images.flatten(0, 1), len(images))


class TypeProbe(Probe):
    """The typefaces themselves in the place of images of a model: a ceiling."""

    def stage(self, pipeline: Pipeline) -> Probed:
        digest = hashlib.sha256(FACES.read_bytes()).hexdigest()
        judged = super().stage(pipeline)
        return replace(judged, images=Typeset(pipeline.models(self.settings.foundation), digest))


class ProbeImages(Probe):
    """The images of a probe, to be looked at: uint8 (classes, n, 3, side, side)."""

    def stage(self, pipeline: Pipeline) -> Vanilla | LoraImages:
        return super().stage(pipeline).images

    def result(self, folder: Path) -> Tensor:
        return load_images(folder)


@dataclass(frozen=True)
class Probing:
    """What a probe gave (`Probed`)."""

    probe: Probe
    accuracy_pct: float
    agreement_pct: tuple[float, ...]
    spread: float
    real_spread: float

    def agreement(self, owned: bool) -> float:
        """Mean agreement over the classes the model was tuned on, or over the others; % or NaN."""
        named = enumerate(self.agreement_pct)
        chosen = [percent for k, percent in named if (k in self.probe.owned) == owned]
        return sum(chosen) / len(chosen) if chosen else float("nan")


def some_classes(classes: int, count: int, seed: int) -> tuple[int, ...]:
    """`count` of the classes, drawn from `seed`: what a client may own."""
    order = torch.randperm(classes, generator=torch_generator(seed, "some classes"))
    return tuple(sorted(order[:count].tolist()))


def probe_table(results: Sequence[Probing]) -> pd.DataFrame:
    """A row per title in order of appearance: mean and std over the seeds, in percent."""
    frame = pd.DataFrame(
        {
            "images": result.probe.title,
            "real digits": result.accuracy_pct,
            "recognised, tuned on": result.agreement(owned=True),
            "recognised, others": result.agreement(owned=False),
            "spread, real = 100": 100 * result.spread / result.real_spread,
        }
        for result in results
    )
    groups = frame.groupby("images", sort=False)
    means, spreads = (found.map("{:.1f}".format) for found in (groups.mean(), groups.std()))
    return (means + " ± " + spreads).mask(groups.mean().isna(), "–")
