"""How good a foundation is: images of it, vanilla or tuned on some classes, put to the test."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from ..engine.runner import run_stages
from ..engine.store import Store
from ..params import Settings
from ..pipeline import Pipeline
from ..runs import STORE
from ..seeds import torch_generator
from ..settings import Frozen
from ..stages.lora_images import LoraImages
from ..stages.vanilla_images import Vanilla, load_images
from .probed import Judge, Probed


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
    spread: float  # of images of one class (`conditions.spread`)
    real_spread: float  # of real ones
    images: torch.Tensor

    def agreement(self, owned: bool) -> float:
        """Mean agreement over the classes the model was tuned on, or over the others; % or NaN."""
        chosen = [
            percent
            for k, percent in enumerate(self.agreement_pct)
            if (k in self.probe.owned) == owned
        ]
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
    means, spreads = groups.mean(), groups.std()
    cells = {
        column: [
            "–" if pd.isna(mean) else f"{mean:.1f} ± {spread:.1f}"
            for mean, spread in zip(means[column], spreads[column], strict=True)
        ]
        for column in means
    }
    return pd.DataFrame(cells, index=means.index)


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
