"""Killed at any moment and run again: the same bytes, and nothing done twice."""

import multiprocessing
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from toy_clients import client, clients, network, settings
from toy_kills import contents, keeping, survived

from regl_core import conditions, foundation, generation, training, tuning
from regl_core.engine import Checkpoint, Stage, Store
from regl_core.evidence import Probe
from regl_core.params import PersonalizationSettings, load
from regl_core.partition import Dirichlet
from regl_core.personalization import personalize
from regl_core.pipeline import Pipeline
from regl_core.privacy import AdapterMembership, ImageCopying, UpdateMembership, adapter_attack
from regl_core.report import DistanceRun, UpdateRun
from regl_core.runs import PersonalRun, Run
from regl_core.stages import Tuned
from regl_core.training import Phase
from regl_core.weights import Weights

# Momentum, so that an optimiser has a state to lose; several batches, epochs and steps of all.
# And few test images, as every attempt looks at all of them.
SMALL = {
    "datasets.digits.train_per_class": 8,
    "datasets.digits.validation_share": 0.25,
    "synthesis.batch_size": 8,
    "lora.steps": 3,
    "training.momentum": 0.9,
    "training.local_epochs": 2,
    "personalization.epochs": 3,
    "probe.epochs": 3,
    "privacy.pairs": 2,
}
SETTINGS = load("smoke", SMALL)


@pytest.fixture(scope="module")
def tiny() -> foundation.Foundation:
    return foundation.load(SETTINGS.foundation)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(conditions, "BATCH", 8)
    monkeypatch.setattr(tuning, "BATCH", 8)
    monkeypatch.setattr(adapter_attack, "BATCH", 8)


def lesson(tiny: foundation.Foundation, n: int) -> tuning.Lesson:
    side, generator = tiny.image_side, torch.Generator().manual_seed(n)
    images = torch.randint(256, (n, 3, side, side), generator=generator, dtype=torch.uint8)
    return tuning.Lesson(images, ["A photo of three"] * n, None)


def tuned(tiny, folder: Path, checkpoint: Checkpoint | None) -> object:
    real, prior = lesson(tiny, 17), lesson(tiny, 9)
    folder = folder / "adapter"
    losses = tuning.tune(
        tiny, real, prior, SETTINGS.lora, folder, (0, "lora"), checkpoint=checkpoint
    )
    return losses, {path.name: path.read_bytes() for path in folder.iterdir()}


def sampled(tiny, folder: Path, checkpoint: Checkpoint | None) -> object:
    prompts, seeds = [f"A photo of {k}" for k in range(20)], [(0, "test", k) for k in range(20)]
    drawn = generation.sample(tiny, prompts, None, seeds, SETTINGS.synthesis, checkpoint=checkpoint)
    return drawn.tolist()


def described(tiny, folder: Path, checkpoint: Checkpoint | None) -> object:
    images = lesson(tiny, 20).images
    found = conditions.features(tiny, images, checkpoint and checkpoint / "features")
    return found.tolist(), conditions.captions(tiny, images, ["three"], checkpoint)


def lossy(tiny, folder: Path, checkpoint: Checkpoint | None) -> object:
    images, prompts = lesson(tiny, 20).images, ["A photo of three"] * 20
    losses = adapter_attack.denoising_losses(tiny, images, prompts, 2, (0, "attack"), checkpoint)
    return losses.tolist()


def personalized(tiny, folder: Path, checkpoint: Checkpoint | None) -> object:
    how = PersonalizationSettings(epochs=3, rate=0.05, synthetic="all")
    data, tests = [*clients(9, 0, 5), client(4)], [client(6), client(6), client(5), client(0)]
    start = Weights.of(network(seed=1))
    curves = personalize(
        network(), start, data, tests, how, settings(), 5, lambda fraction: None, checkpoint
    )
    return [curve and list(curve) for curve in curves]


def trained(tiny, folder: Path, checkpoint: Checkpoint | None) -> object:
    """In two phases, the first of which leaves the last layer alone."""
    net = network()
    first = {name for name, _ in net.named_parameters() if not name.startswith("5.")}
    phases, path = [Phase(2, first), Phase(2)], (0, "batches")
    steps = training.local_sgd(net, client(9), settings(), path, phases, checkpoint=checkpoint)
    return steps, {name: tensor.tolist() for name, tensor in net.state_dict().items()}


# With how often each saves: images in batches of 8, then steps, or batches for each
# of two noises; clients, and steps of batches of 4 within.
WORKS = [
    (tuned, 3 + 2 + 3),
    (sampled, 3),
    (lossy, 3 + 2 * 3),
    (described, 3 + 3),
    (personalized, (3 * 3 + 1) + (3 * 2 + 1)),
    (trained, 4 * 3),
]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(("work", "saves"), WORKS)
def test_work_killed_after_every_save_repeats_nothing(work, saves, tiny, tmp_path):
    whole = work(tiny, tmp_path, None)
    with keeping(deadly=False) as once:
        assert work(tiny, tmp_path, Checkpoint(tmp_path / "once", "x")) == whole
    with keeping(deadly=True) as again:
        assert survived(lambda: work(tiny, tmp_path, Checkpoint(tmp_path / "again", "x"))) == whole
    assert once == again and len(once) == saves


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("work", [work for work, _ in WORKS])
def test_a_damaged_file_is_told_and_its_work_done_anew(work, tiny, tmp_path):
    whole, folder = work(tiny, tmp_path, None), tmp_path / "kept"
    with keeping(deadly=False):
        work(tiny, tmp_path, Checkpoint(folder, "x"))
    for path in (folder / "checkpoint").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="damaged"):
        assert work(tiny, tmp_path, Checkpoint(folder, "x")) == whole


def personal(pipeline: Pipeline) -> Stage:
    return run(PersonalRun, "ReGL (FT)").stage(pipeline)


def dynafed(pipeline: Pipeline) -> Stage:
    short = {"trajectory": 2, "segment": 1, "averaged": 1, "images_per_class": 1}
    short |= {"inner_steps": 1, "iterations": 3, "server_epochs": 1}
    return run(Run, "DynaFed", {"methods": {"DynaFed": short}}).stage(pipeline)


def run(kind: type[Run], method: str, changes: dict | None = None) -> Run:
    its = load("smoke", SMALL | (changes or {}))
    two = Dirichlet(beta=0.5, clients=2)
    return kind(dataset="digits", partition=two, method=method, seed=0, settings=its)


def probed(pipeline: Pipeline) -> Stage:
    return Probe(title="vanilla", dataset="digits", owned=(), seed=0, settings=SETTINGS).stage(
        pipeline
    )


def updated(pipeline: Pipeline) -> Stage:
    return run(UpdateRun, "FedAvg").stage(pipeline)


def distance(pipeline: Pipeline) -> Stage:
    return run(DistanceRun, "ReGL (TF)").stage(pipeline)


def overheard(pipeline: Pipeline) -> Stage:
    two = Dirichlet(beta=0.5, clients=2)
    sent = UpdateMembership(
        dataset="digits", partition=two, method="FedAvg", seed=0, settings=SETTINGS, way="usual"
    )
    return sent.stage(pipeline)


def exposed(kind: type[AdapterMembership | ImageCopying], pipeline: Pipeline) -> Stage:
    two = Dirichlet(beta=0.5, clients=2)
    one = kind(way="usual", dataset="digits", partition=two, seed=0, client=0, settings=SETTINGS)
    return one.stage(pipeline)


attacked, near = partial(exposed, AdapterMembership), partial(exposed, ImageCopying)


# With some of the files that each must keep.
BUILDS = [
    (
        personal,
        {"images-captions-8", "images-features-8", "images-8", "progress", "clients-0"}
        | {"tuning", "tuning-typical-8", "tuning-real-8", "clients-within-0"},
    ),
    (dynafed, {"progress"}),
    (probed, {"images-8", "epochs", "epochs-made-8", "epochs-real-8"}),
    (updated, {"progress", "clients-0", "clients-within-0"}),
    (distance, {"images-8", "features-8", "sums", "sums-width"}),
    (near, {"images-8", "features-8", "classes"}),
    (overheard, {"progress", "clients-0", "clients-1", "clients-within-1"}),
    (
        attacked,
        {"losses-0", "losses-1", "losses-within-0", "losses-within-1"}
        | {"losses-within-0-encoded-8", "losses-within-1-encoded-8"},
    ),
]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(("build", "files"), BUILDS)
def test_stages_killed_after_every_save_end_with_the_same_bytes(build, files, tmp_path):
    stage = build(Pipeline())
    with keeping(deadly=False) as once:
        Store(tmp_path / "whole").ensure(stage)
    store = Store(tmp_path / "killed")
    with keeping(deadly=True) as again:
        survived(partial(store.ensure, stage))
    assert contents(store.root) == contents(tmp_path / "whole")
    assert once == again and files <= {Path(name).stem for name in once}
    assert not list(store.root.rglob("checkpoint")) and not list(store.root.glob("tmp/*"))


def _compute(root: Path, stage: Stage, threads: int) -> None:
    """In a process of its own."""
    torch.set_num_threads(threads)
    with keeping(deadly=False):
        Store(root).ensure(stage)


def test_a_tuning_killed_from_outside_goes_on(tmp_path):
    steps = 20
    stage = run(Run, "ReGL (FT)", {"lora.steps": steps}).stage(Pipeline()).needs()[0].tuned
    assert isinstance(stage, Tuned)
    whole, store = Store(tmp_path / "whole"), Store(tmp_path / "killed")
    for need in stage.needs():
        store.ensure(need)
    shutil.copytree(store.root, whole.root)
    whole.ensure(stage)

    arguments = store.root, stage, torch.get_num_threads()
    process = multiprocessing.get_context("spawn").Process(target=_compute, args=arguments)
    process.start()
    while not list(store.root.glob("tmp/*/checkpoint/tuning.pt")):
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL and not store.has(stage)

    fractions: list[float] = []
    store.ensure(stage, fractions.append)
    assert 1 < len(fractions) < steps
    assert contents(store.root) == contents(whole.root)
