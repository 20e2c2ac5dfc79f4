"""The privacy contract of the stages: up to `LoraImages` each sees one client's data only."""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from regl_core.data import Dataset, Split
from regl_core.engine.stage import CHECKPOINT, Stage
from regl_core.engine.store import Store
from regl_core.params import load
from regl_core.partition import Dirichlet, GlobalShare, PartitionSpec
from regl_core.pipeline import Pipeline
from regl_core.runs import PersonalRun, Run
from regl_core.stages.inputs import Source
from regl_core.stages.lora_images import LoraImages
from regl_core.stages.trained import Trained, network

SMOKE = load("smoke")
THREE = Dirichlet(beta=0.5, clients=3)
KINDS = {
    "ReGL (TF)": {"Vanilla"},
    "ReGL (FT)": {"Vanilla", "Captioned", "Tuned", "LoraImages"},
}


def trained(method: str, partition: PartitionSpec = THREE, seed: int = 0) -> Trained:
    run = Run(dataset="digits", partition=partition, method=method, seed=seed, settings=SMOKE)
    return run.stage(Pipeline())


def reached(stage: Stage) -> Iterator[Stage]:
    """The stage, and all whose outputs can get into it."""
    yield stage
    for need in stage.inputs:
        yield from reached(need)


def numbers(value: object) -> set[int]:
    """The integers in a tuple, or in tuples in it: the only way in which a stage names images."""
    parts = value if isinstance(value, tuple) else ()
    own = {part for part in parts if isinstance(part, int)}
    return own.union(*map(numbers, parts))


def seen(stage: Stage) -> set[int]:
    """The training images that a stage, or one that it needs, is told of."""
    every = (numbers(getattr(it, own.name)) for it in reached(stage) for own in fields(it))
    return set().union(*every)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", KINDS)
def test_a_client_draws_from_its_own_images_alone(method, seed):
    stage = trained(method, seed=seed)
    assert len(stage.synthetic) == len(stage.parts) == 3
    for client, (pieces, part) in enumerate(zip(stage.synthetic, stage.parts, strict=True)):
        for piece in pieces:
            behind = list(reached(piece))
            assert {it.kind for it in behind} == (KINDS[method] if part else {"Vanilla"})
            assert {it.client for it in behind if it.kind == "Vanilla"} == {client}
            assert seen(piece) == (set(part) if method == "ReGL (FT)" else set())
    owned = [image for part in stage.parts for image in part]
    assert len(owned) == len(set(owned)) == 60  # no image has two owners


def test_a_global_share_is_seen_to_break_it():
    share = GlobalShare(share=0.3, base=THREE)
    first, second, _ = trained("ReGL (FT)", share).synthetic
    assert seen(first[0]) & seen(second[0])


def others_replaced(dataset: Dataset, own: tuple[int, ...]) -> Dataset:
    """The data set with noise for all images but `own`, and with other labels for them."""
    draw, kept = torch.Generator().manual_seed(1), list(own)

    def noise(split: Split) -> Split:
        images = torch.randint(256, split.images.shape, generator=draw, dtype=torch.uint8)
        return Split(images, (split.labels + 1) % len(dataset.classes))

    train = noise(dataset.train)
    train.images[kept] = dataset.train.images[kept]
    train.labels[kept] = dataset.train.labels[kept]
    return Dataset(dataset.name, dataset.classes, train, noise(dataset.test))


def one_replaced(dataset: Dataset, image: int) -> Dataset:
    """The data set with one training image in black for white."""
    images = dataset.train.images.clone()
    images[image] = 255 - images[image]
    return Dataset(dataset.name, dataset.classes, Split(images, dataset.train.labels), dataset.test)


def written(stage: LoraImages, dataset: Dataset, folder: Path) -> dict[str, bytes]:
    """What a client's stages write where `dataset` is the data set: content by path."""
    tuned = stage.tuned
    chain = (tuned.vanilla, tuned.captioned, tuned, stage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Source, "load", lambda self: dataset)
        for it in chain:
            (folder / it.kind).mkdir(parents=True)
            it.compute(
                folder / it.kind,
                tuple(folder / need.kind for need in it.needs()),
                lambda fraction: None,
            )
    # Checkpoints are no results: the store deletes them, and safetensors orders their headers anew.
    files = (it for it in folder.rglob("*") if it.is_file() and CHECKPOINT not in it.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_images_of_others_change_nothing_for_a_client(tmp_path):
    stage = trained("ReGL (FT)")
    client = max(range(3), key=lambda one: len(stage.parts[one]))
    (piece,), part = stage.synthetic[client], stage.parts[client]
    dataset = piece.tuned.captioned.source.load()
    as_it_is = written(piece, dataset, tmp_path / "as it is")
    assert {"Captioned/captions.json", "LoraImages/images.safetensors"} < as_it_is.keys()
    assert written(piece, others_replaced(dataset, part), tmp_path / "others") == as_it_is
    own = written(piece, one_replaced(dataset, part[0]), tmp_path / "own")
    kinds = {path.partition("/")[0] for path in own if own[path] != as_it_is[path]}
    assert kinds == {"Captioned", "Tuned", "LoraImages"}


@pytest.mark.parametrize("name", ["FedAvg", "FedBN", "FedCAC"])
def test_a_federation_leaves_weights_and_accuracies_on_the_disk(name, tmp_path):
    run = PersonalRun(dataset="digits", partition=THREE, method=name, seed=0, settings=SMOKE)
    stage = run.stage(Pipeline())
    folder = Store(tmp_path).ensure(stage)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert found == {"accuracy.json", "personal.json", "weights.safetensors", "entry.json"}
    dataset = stage.source.load()
    like = network(dataset, stage.training, 0).state_dict()
    weights = load_file(folder / "weights.safetensors")
    assert {k: v.shape for k, v in weights.items()} == {k: v.shape for k, v in like.items()}
    accuracy = json.loads((folder / "accuracy.json").read_text())
    personal = json.loads((folder / "personal.json").read_text())
    assert len(accuracy) == SMOKE.training.rounds and len(personal) == 3
    numbers = [*accuracy, *(one for curve in personal for one in curve or ())]
    assert all(type(one) is float and 0 <= one <= 100 for one in numbers)
