"""Every stage, on marked images: none of its outcomes shows one, and a client's part is its own.

By design some outcomes hold what one client's own images tell: captions, features, adapters and
images drawn (OWN), accuracies and scores (EACH). Those must not change with the images of others.
"""

import importlib
import json
import pkgutil
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from toy_privacy import shows

from regl_core import evidence, methods, privacy, stages
from regl_core.clients import pixels
from regl_core.data import Dataset, Split
from regl_core.datasets import find
from regl_core.engine import Stage, closure
from regl_core.engine.checkpoints import CHECKPOINT
from regl_core.evidence.probes import Judge, Probed, Typeset
from regl_core.foundation import Foundation
from regl_core.params import Settings, load
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.privacy.adapter_attack import AdapterAttack
from regl_core.privacy.neighbours import Neighbours
from regl_core.privacy.update_attack import UpdateAttack
from regl_core.runs import PersonalRun
from regl_core.stages import (
    Distance,
    Embedded,
    EmbeddedReal,
    EmbeddedTest,
    Personalized,
    Source,
    Trained,
    Updated,
)

# Of one client alone.
OWN = {"Captioned", "Tuned", "LoraImages", "Embedded", "AdapterAttack", "Neighbours"}
EACH = {"Personalized", "Updated", "UpdateAttack"}  # a part for each client, from the shared model
SHARED = {"Trained"}  # from weights that all clients sent
NONE = {"Vanilla"}  # from no real image
# Whoever measures has all real images, as no client has; nothing of it reaches one.
MEASURED = {"EmbeddedReal", "EmbeddedTest", "Distance", "Judge", "Probed", "Typeset"}
TWO = Dirichlet(beta=0.5, clients=2)
LETTERS = ("A", "B", "C")


@dataclass(frozen=True)
class Walk:
    """The stages of a run with tuned images and all that looks at it, and what they wrote.

    client : the one looked at, which has most images. made : folders, by key.
    """

    name: str
    settings: Settings
    dataset: Dataset
    personalized: Personalized
    client: int
    made: dict[str, Path]

    @property
    def trained(self) -> Trained:
        return self.personalized.trained

    @property
    def part(self) -> tuple[int, ...]:
        """The training images of the client."""
        return self.trained.parts[self.client]

    @property
    def others(self) -> set[int]:
        """Those of all others."""
        return set(range(len(self.dataset.train))) - set(self.part)

    def of_client(self) -> list[Stage]:
        """The last of the client's own stages."""
        piece = self.trained.synthetic[self.client][0]
        described = piece.tuned.captioned
        real, test = (kind(piece.models, described.source) for kind in (EmbeddedReal, EmbeddedTest))
        near = Neighbours(real, test, Embedded(piece), described.indices)
        return [AdapterAttack(piece.tuned, self.settings.privacy.pairs), near]

    def of_each(self) -> list[Stage]:
        """Those that hold a part for each client."""
        return [self.personalized, Updated(self.trained), UpdateAttack(self.trained)]

    def measured(self) -> list[Stage]:
        piece, source = self.trained.synthetic[self.client][0], self.trained.source
        judge = Judge(source, self.settings.training, self.settings.probe, 0)
        real = EmbeddedReal(piece.models, source)
        shown = Typeset(piece.models, "any")
        return [Probed(judge, piece), Distance(real, (Embedded(piece),)), shown]


def noise(*shape: int, seed: int) -> Tensor:
    """Marked images: drawn grey levels, uint8."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(2, 254, shape, generator=draw, dtype=torch.uint8)


def photos(folder: Path) -> Path:
    """A folder of marked images, larger than they are trained on."""
    for seed, (part, name) in enumerate((p, n) for p in ("train", "test") for n in LETTERS):
        (folder / part / name).mkdir(parents=True)
        for i in range(5):
            picture(noise(3, 32, 32, seed=100 * seed + i), folder / part / name / f"{i}.png")
    return folder


def picture(image: Tensor, file: Path) -> None:
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)


def opened(root: Path) -> tuple[str, Settings, Dataset]:
    """The images of `photos` as a data set of smaller ones."""
    name = f"folder:{root}"
    settings = load("smoke", {"datasets": [name], "folder.image_side": 16})
    return name, settings, find(name, settings.datasets[name], root.parent / "packed").load()


def altered(dataset: Dataset, rows: Iterable[int], folder: Path) -> Dataset:
    """The data set with other training images at `rows`; labels and test images stay."""
    train, rows = dataset.train, sorted(rows)
    if train.origin is None:
        images = train.images.clone()
        images[rows] = noise(len(rows), *images.shape[1:], seed=9)
        return replace(dataset, train=Split(images, train.labels))
    before = Path(dataset.name.removeprefix("folder:"))
    root = shutil.copytree(before, folder / "photos")
    for row in rows:
        file, _ = train.origin.files[train.origin.rows[row]]
        picture(noise(3, 32, 32, seed=1000 + row), root / file.relative_to(before))
    return opened(root)[2]


def computed(
    targets: Iterable[Stage], dataset: Dataset, folder: Path, made: Mapping[str, Path]
) -> dict[str, Path]:
    """The outcomes of `targets` and all behind them where `dataset` is the data set, by key.

    made : outcomes that are not computed again.
    """
    found = dict(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Source, "load", lambda self: dataset)
        # Larger than the images kept: those that lie in files are read there once more.
        patch.setattr(Foundation, "image_side", 32)
        for key, stage in closure(targets, lambda stage: stage.key in made).items():
            if key not in made:
                found[key] = folder / stage.kind / key
                found[key].mkdir(parents=True)
                inputs = tuple(found[need.key] for need in stage.inputs)
                stage.compute(found[key], inputs, lambda fraction: None)
                # It is no result: the store deletes it.
                shutil.rmtree(found[key] / CHECKPOINT, ignore_errors=True)
    return found


@pytest.fixture(scope="module", params=["in memory", "in files"])
def walk(request, tmp_path_factory) -> Walk:
    folder = tmp_path_factory.mktemp("walk")
    if request.param == "in files":
        name, settings, dataset = opened(photos(folder / "photos"))
    else:
        name, settings = "digits", load("smoke")
        dataset = Pipeline().source(name, settings)[1]
        parts = (
            Split(noise(len(labels), *dataset.train.images.shape[1:], seed=seed), labels)
            for seed, labels in enumerate((dataset.train.labels, torch.arange(10).repeat(4)))
        )
        dataset = Dataset(name, dataset.classes, *parts)
    run = PersonalRun(dataset=name, partition=TWO, method="ReGL (FT)", seed=0, settings=settings)
    personalized = run.stage(Pipeline(folder / "packed"))
    parts = personalized.trained.parts
    client = max(range(2), key=lambda one: len(parts[one]))
    assert all(parts)
    found = Walk(name, settings, dataset, personalized, client, {})
    every = [*found.of_client(), *found.of_each(), *found.measured()]
    return replace(found, made=computed(every, dataset, folder / "made", {}))


def kinds() -> set[str]:
    """The stages there are."""
    modules = [
        f"{room.__name__}.{it.name}"
        for room in (stages, evidence, privacy)
        for it in pkgutil.iter_modules(room.__path__)
    ]
    return {
        it.__name__
        for module in map(importlib.import_module, modules)
        for it in vars(module).values()
        if isinstance(it, type) and issubclass(it, Stage) and it.__module__ == module.__name__
    }


def files(folder: Path) -> dict[str, bytes]:
    return {it.name: it.read_bytes() for it in sorted(folder.rglob("*")) if it.is_file()}


def tensors(folder: Path) -> Iterator[Tensor]:
    """All numbers that a stage wrote."""
    for file in folder.rglob("*.safetensors"):
        yield from load_file(file).values()
    for file in folder.rglob("*.json"):
        yield torch.tensor(list(_numbers(json.loads(file.read_text()))), dtype=torch.float64)


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _numbers(part)


def images(dataset: Dataset) -> list[Tensor]:
    """All images as they are trained on, and as their files show them."""
    found = []
    for split in (dataset.train, dataset.test):
        every = torch.arange(len(split))
        found.append(split.images[every])
        if split.origin:
            found.append(split.pictures(every, 32))
    return [pixels(it) for it in found]


def test_every_stage_is_walked(walk):
    targets = [*walk.of_client(), *walk.of_each(), *walk.measured()]
    found = {it.kind for it in closure(targets).values()}
    assert found == kinds() == OWN | EACH | SHARED | NONE | MEASURED
    assert walk.made.keys() == closure(targets).keys()


def test_no_outcome_shows_an_image(walk):
    known = images(walk.dataset)
    for marked in known:
        assert shows(marked[-1], marked) and shows(((marked[0] + 1) / 2).bfloat16(), marked)
    for folder in walk.made.values():
        for tensor in tensors(folder):
            assert not any(shows(tensor, marked) for marked in known), folder


def test_what_is_of_one_client_holds_its_own_images_alone(walk, tmp_path):
    targets = walk.of_client()
    others = altered(walk.dataset, walk.others, tmp_path / "others")
    own = altered(walk.dataset, walk.part[:1], tmp_path / "own")
    unmoved = computed(targets, others, tmp_path / "with others", {})
    moved = computed(targets, own, tmp_path / "with own", {})
    stages = closure(targets)
    for key, stage in stages.items():
        if stage.kind in OWN:
            assert files(unmoved[key]) == files(walk.made[key]), stage.kind
            assert files(moved[key]) != files(walk.made[key]), stage.kind
    assert {it.kind for it in stages.values()} >= OWN
    (real,) = (key for key, stage in stages.items() if stage.kind == "EmbeddedReal")
    assert files(unmoved[real]) != files(walk.made[real])  # what was altered can be seen


def of_one(folder: Path, client: int) -> list[object]:
    """What an outcome holds of a client."""
    found: list[object] = []
    for file in sorted(folder.rglob("*.json")):
        found.append(json.loads(file.read_text())[client])
    for file in sorted(folder.rglob("*.safetensors")):
        for name, tensor in sorted(load_file(file).items()):
            if "." in name:
                found += [tensor.tolist()] if name.startswith(f"{client}.") else []
            elif name not in ("before_pct", "labels"):  # of the shared model; of test images
                found.append(tensor[client].nan_to_num(-1).tolist())
    return found


def test_a_clients_part_holds_its_own_images_alone(walk, tmp_path):
    targets = walk.of_each()
    assert {it.kind for it in targets} == EACH
    shared = {key: it for key, it in walk.made.items() if key not in {it.key for it in targets}}
    others = altered(walk.dataset, walk.others, tmp_path)
    found = computed(targets, others, tmp_path / "made", shared)
    for stage in targets:
        before, after = walk.made[stage.key], found[stage.key]
        assert of_one(after, walk.client) == of_one(before, walk.client) != [], stage.kind
        if stage.kind != "Personalized":  # whose few test images may be guessed alike
            assert of_one(after, 1 - walk.client) != of_one(before, 1 - walk.client), stage.kind


def test_a_federation_that_sends_nothing_keeps_clients_apart(walk, tmp_path):
    """Each curve of Separate is its client's own, in a stage that holds the images of all."""
    alone = {"method": methods.get("Separate", {}), "synthetic": (), "synthetic_per_class": 0}
    stage = replace(walk.trained, **alone, personal=True)
    others = altered(walk.dataset, walk.others, tmp_path)
    before, after = (
        computed([stage], dataset, tmp_path / name, {})[stage.key] / "personal.json"
        for name, dataset in (("before", walk.dataset), ("after", others))
    )
    one, two = (json.loads(file.read_text())[walk.client] for file in (before, after))
    assert one == two and one is not None
