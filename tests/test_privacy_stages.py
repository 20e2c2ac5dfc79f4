"""The privacy contract of the stages: up to `LoraImages` each is told of one client's data only.

That its outcome holds nothing else is in `test_privacy_walk`.
"""

import json
from collections.abc import Iterator
from dataclasses import fields

import pytest
from safetensors.torch import load_file

from regl_core.engine import Stage, Store
from regl_core.params import load
from regl_core.partition import Dirichlet, GlobalShare, PartitionSpec
from regl_core.pipeline import Pipeline
from regl_core.runs import PersonalRun, Run
from regl_core.stages import Trained, network

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
