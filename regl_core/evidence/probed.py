"""How good synthetic images are: what a network learns from them, and what one sees in them."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from .. import conditions
from ..clients import ClientData, placed
from ..data import Dataset, resized
from ..engine import Checkpoint, Stage
from ..foundation import Foundation
from ..images import Images
from ..params import ProbeSettings, TrainingSettings
from ..stages.inputs import Source, Tick
from ..stages.lora_images import LoraImages
from ..stages.trained import network, plain
from ..stages.vanilla_images import Vanilla, load_images
from ..training import evaluate, in_memory, repeatable, train_epochs


def _fit(
    net: nn.Module,
    data: ClientData,
    training: TrainingSettings,
    probe: ProbeSettings,
    path: tuple[int | str, ...],
    checkpoint: Checkpoint,
    tick: Tick,
) -> None:
    """Train `net` on `data` alone until it has settled: momentum, and a cosine to rate zero."""
    optimiser = torch.optim.SGD(
        net.parameters(), probe.rate, probe.momentum, weight_decay=probe.weight_decay
    )
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, probe.epochs)

    (data,) = placed([data], next(net.parameters()).device)

    def end(number: int) -> None:
        decay.step()
        tick((number + 1) / probe.epochs)

    each, hooks = [optimiser] * probe.epochs, {"end": end, "schedules": [decay]}
    with repeatable(), in_memory("training a network that judges images", training):
        train_epochs(net, each, data, training, path, checkpoint, **hooks)


@dataclass(frozen=True)
class Judge(Stage):
    """A network trained on all real images, training and test set. Writes weights.safetensors."""

    source: Source
    training: TrainingSettings
    probe: ProbeSettings
    seed: int

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        dataset = self.source.load()
        net = network(dataset, self.training, self.seed)
        both = dataset.train, dataset.test
        real = ClientData(
            Images.joined([split.images for split in both]),
            torch.cat([split.labels for split in both]),
        )
        path, checkpoint = (
            (self.seed, "judge"),
            Checkpoint(folder, "epochs"),
        )
        _fit(net, real, self.training, self.probe, path, checkpoint, tick)
        save_file(net.state_dict(), folder / "weights.safetensors")


@dataclass(frozen=True)
class Probed(Stage):
    """Writes probe.json: accuracy_pct, agreement_pct of every class, spread and real_spread.

    accuracy_pct: of a network trained on the synthetic images alone, on the real test
    images. agreement_pct: the share of a class's synthetic images that the judge, who knows
    the real ones, takes for that class. spread: how much images of one class differ
    (`conditions.spread`), and the same of the real training images.
    """

    judge: Judge
    images: Vanilla | LoraImages

    def needs(self) -> tuple[Stage, ...]:
        return self.judge, self.images

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        judge, synthetic = inputs
        dataset = self.judge.source.load()
        made = load_images(synthetic)
        labels = torch.arange(len(made)).repeat_interleave(made.shape[1])
        data = ClientData(made.flatten(0, 1), labels)
        training, seed = self.judge.training, self.judge.seed
        net = network(dataset, training, seed)
        checkpoint = Checkpoint(folder, "epochs")
        _fit(net, data, training, self.judge.probe, (seed, "probe"), checkpoint, tick)
        accuracy = evaluate(net, plain(dataset.test), training.precision)
        net.load_state_dict(load_file(judge / "weights.safetensors"))
        agreement = [
            evaluate(net, data.subset(labels == k), training.precision) for k in range(len(made))
        ]
        foundation = self.images.models.load()
        real = _enlarged(dataset, foundation.image_side)
        report = {
            "accuracy_pct": accuracy,
            "agreement_pct": agreement,
            "spread": spread(foundation, made, checkpoint / "made"),
            "real_spread": spread(foundation, real, checkpoint / "real"),
        }
        (folder / "probe.json").write_text(json.dumps(report))


def _enlarged(dataset: Dataset, side: int) -> torch.Tensor:
    """As many training images of each class as every class has, at `side` pixels."""
    fewest = int(dataset.train.labels.bincount().min())
    return resized(dataset.train.by_class(fewest), side)


def spread(
    foundation: Foundation, images: torch.Tensor, checkpoint: Checkpoint | None = None
) -> float:
    """How much images of one class differ: mean 1 − cosine of their features, over all pairs.

    images: uint8 (classes, n, 3, side, side), n at least 2. 0 means n copies of one image.
    `checkpoint`: as in `conditions.captions`.
    """
    classes, n = images.shape[:2]
    unit = conditions.features(foundation, images.flatten(0, 1), checkpoint).view(classes, n, -1)
    # The cosines of all pairs, twice, and those of each image with itself, 1.
    total = (unit.sum(1).square().sum(1) - n).mean()
    return 1 - float(total) / (n * (n - 1))
