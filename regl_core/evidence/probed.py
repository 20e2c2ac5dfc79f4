"""How good a foundation is: images of it, vanilla or tuned on some classes, put to the test.

What a network learns from them, and what one that knows the real images sees in them. `Judge` and
`Probed` are the stages, a `Probe` is what a notebook asks for.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from .. import conditions
from ..clients import ClientData, placed
from ..data import Dataset, resized
from ..engine import Checkpoint, Stage, Store, run_stages
from ..foundation import Foundation
from ..images import Images
from ..params import ProbeSettings, Settings, TrainingSettings
from ..pipeline import Pipeline
from ..runs import STORE
from ..seeds import torch_generator
from ..settings import Frozen
from ..stages import LoraImages, Source, Tick, Vanilla, load_images, network, plain
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
    (`spread`), and the same of the real training images.
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
        labels = dataset.train.labels
        index = torch.isin(labels, torch.tensor(self.owned)).nonzero()[:, 0].tolist()
        probe = {"per_stage": self.settings.probe.images_per_class}
        synthesis = self.settings.synthesis.model_copy(update=probe)
        its = self.settings.model_copy(update={"synthesis": synthesis})
        images: Vanilla | LoraImages = pipeline.vanilla(
            self.dataset, dataset.classes, its, self.seed, client=0
        )
        if index:
            images = LoraImages(pipeline.tuned(images, source, index, its), start=0)
        how = pipeline.training(self.settings)
        judge = Judge(source, how, self.settings.probe, self.seed)
        return Probed(judge, images)


@dataclass(frozen=True)
class Probing:
    """What a probe gave, in percent; `images` uint8 (classes, n, 3, side, side)."""

    probe: Probe
    accuracy_pct: float  # of a network trained on the images alone, on the real test images
    agreement_pct: tuple[float, ...]  # of a judge of the real images with each class's images
    spread: float  # of images of one class (`spread`)
    real_spread: float  # of real ones
    images: torch.Tensor

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


def probe_all(
    grid: Sequence[Probe], store: Store | None = None, workers: int | None = None
) -> list[Probing]:
    """The results of `grid`, in its order; what the store has is read, the rest computed."""
    store = store or Store(STORE)
    pipeline = Pipeline(store.root / "packed")
    stages = [probe.stage(pipeline) for probe in grid]
    run_stages([part for stage in stages for part in (stage, stage.images)], store, workers)
    return [
        Probing(
            probe,
            images=load_images(store.ensure(stage.images)),
            **json.loads((store.ensure(stage) / "probe.json").read_text()),
        )
        for probe, stage in zip(grid, stages, strict=True)
    ]
