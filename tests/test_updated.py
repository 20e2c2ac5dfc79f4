"""What one local update does: the measures by hand, and that it is a client's next turn."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from method_cases import given, watched
from safetensors.torch import load_file
from torch import nn
from toy_clients import same

from regl_core import methods
from regl_core.clients import ClientData, pixels
from regl_core.engine import Store
from regl_core.errors import ReglError
from regl_core.federation import federate
from regl_core.methods import FedAvg, Method
from regl_core.models import build
from regl_core.params import load
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.report import UpdateRun
from regl_core.stages import network, plain, updated
from regl_core.training import evaluate
from regl_core.weights import Weights

SMOKE = load("smoke", {"training.local_epochs": 2})
FIVE = Dirichlet(beta=0.01, clients=5)
# Those with FedAvg's local update.
KEPT = {"Centralized", "FedAvg", "FedNova", "FedOpt", "DynaFed", "ReGL (TF)", "ReGL (FT)"}
KEPT |= {"FedAvg (same steps)", "FedAvg (fine-tuned)"}


def run(method: str = "FedAvg", seed: int = 0, partition=FIVE) -> UpdateRun:
    return UpdateRun(
        dataset="digits", partition=partition, method=method, seed=seed, settings=SMOKE
    )


def test_accuracy_by_class_by_hand():
    right = torch.tensor([True, False, True, True, False, True])
    labels = torch.tensor([0, 0, 0, 3, 1, 3])
    found = updated.by_class(right, labels, 5)
    assert found.dtype == torch.float32
    expected = [200 / 3, 0.0, float("nan"), 100.0, float("nan")]
    torch.testing.assert_close(found, torch.tensor(expected), equal_nan=True)


def test_separation_by_hand():
    """Of a point (b − a) / max(a, b), with the mean distances a in its class, b to the other."""
    features, labels = torch.tensor([[0.0], [4.0], [1.0], [6.0]]), torch.tensor([0, 1, 0, 1])
    first = (1 - 1 / 5 + 1 - 1 / 4) / 2
    second = (1 - 2 / 3.5 + 1 - 2 / 5.5) / 2
    torch.testing.assert_close(updated.separation(features, labels), torch.tensor([first, second]))


class Passing(nn.Module):
    """Its features are the pixels, its logits those too."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(images.flatten(1))


@pytest.mark.parametrize("size", [1, 2, 512])
def test_judged_says_who_is_right_and_what_the_last_layer_sees(size):
    images = torch.tensor([[3.0, 1.0], [0.0, 2.0], [5.0, 4.0]])[:, :, None, None]
    net = Passing().train()
    right, features = updated.judged(net, ClientData(images, torch.tensor([0, 1, 1])), size=size)
    assert right.tolist() == [True, True, False]
    assert torch.equal(features, images.flatten(1))
    assert not net.fc._forward_pre_hooks and not net.training


def test_judged_is_right_where_evaluate_is_in_the_precision_of_training():
    """Some logits of this network tie, or change places, in bfloat16."""
    net = build("resnet_small", 10, 8, 16, seed=0)
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (300, 3, 16, 16), generator=draw, dtype=torch.uint8)
    with torch.inference_mode():
        labels = net.eval()(pixels(images)).argmax(1)
    data = ClientData(images, labels)
    (right, features), (half, rounded) = (
        updated.judged(net, data, how) for how in ("float32", "bfloat16")
    )
    assert right.all() and not half.all()
    assert 100 * int(half.sum()) / 300 == evaluate(net, data, "bfloat16")
    assert rounded.dtype == features.dtype == torch.float32 and not torch.equal(rounded, features)


def test_judged_makes_do_with_the_memory_there_is():
    images = torch.arange(14.0).view(7, 2, 1, 1)
    data, net, asked = ClientData(images, torch.ones(7, dtype=torch.int64)), Passing(), []

    def limited(module: nn.Module, given: tuple[torch.Tensor]) -> None:
        asked.append(len(given[0]))
        if len(given[0]) > 2 or len(asked) == 3:  # and once with a part done
            raise torch.OutOfMemoryError

    net.register_forward_pre_hook(limited)
    right, features = updated.judged(net, data, size=4)
    assert asked == [4, 2, 2, *7 * [1]]
    assert right.all() and torch.equal(features, images.flatten(1))
    assert not net.fc._forward_pre_hooks


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def test_the_stage_judges_in_the_precision_of_training(store, tmp_path, monkeypatch):
    stage, asked, real = run().stage(Pipeline()), set(), updated.judged
    half = stage.trained.training.model_copy(update={"precision": "bfloat16"})
    stage = replace(stage, trained=replace(stage.trained, training=half))

    def judged(net, data, precision="float32", size=512):
        asked.add(precision)
        return real(net, data, precision, size)

    monkeypatch.setattr(updated, "judged", judged)
    monkeypatch.setattr(updated, "once_more", lambda *_: None)
    computed(stage, store, tmp_path / "updated")
    assert asked == {"bfloat16"}


def computed(stage: updated.Updated, store: Store, folder: Path) -> tuple[dict, list[Weights]]:
    """What the stage writes, and the weights after each local update."""
    seen, real = [], updated.local_sgd

    def local_sgd(net, *rest, **how):
        steps = real(net, *rest, **how)
        seen.append(Weights.of(net))
        return steps

    inputs = tuple(store.ensure(need) for need in stage.needs())
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(updated, "local_sgd", local_sgd)
        stage.compute(folder, inputs, lambda fraction: None)
    return load_file(folder / "classes.safetensors"), seen


@pytest.mark.parametrize("method", ["FedAvg", "ReGL (TF)"])
def test_it_is_what_each_client_would_send_in_a_further_round(method, store, tmp_path):
    stage = run(method).stage(Pipeline())
    found, weights = computed(stage, store, tmp_path / "updated")

    how = stage.trained
    dataset, rounds = how.source.load(), how.training.rounds
    inputs = tuple(store.ensure(need) for need in how.needs())
    data, test = how.clients(dataset, inputs), plain(dataset.test)
    longer = how.training.model_copy(update={"rounds": rounds + 1})
    (spy, finished), net = watched(FedAvg(), "finish"), network(dataset, how.training, how.seed)
    federate(spy, net, data, test, longer, how.seed)
    calls = map(given, finished)
    every = {(task.now.number, task.client): trained for task, trained, _ in calls}

    owners = [client for client, own in enumerate(data) if len(own)]
    assert len(weights) == len(owners) >= 2
    for client, after in zip(owners, weights, strict=True):
        sent = every[rounds, client]
        assert same(after, sent)
        sent.into(net)
        right, features = updated.judged(net, test)
        accuracy = updated.by_class(right, test.labels, 10)
        assert torch.equal(found["after_pct"][client], accuracy)
        apart = updated.separation(features, test.labels)
        assert torch.equal(found["silhouette"][client], apart)

    # Before it stands the global model of the last round.
    net = network(dataset, how.training, how.seed)
    federate(FedAvg(), net, data, test, how.training, how.seed).weights.into(net)
    right, _ = updated.judged(net, test)
    assert torch.equal(found["before_pct"], updated.by_class(right, test.labels, 10))


def test_images_are_counted_and_a_client_without_any_is_left_out(store, tmp_path):
    pipeline = Pipeline()
    stages = (run(seed=seed).stage(pipeline) for seed in range(100))
    stage = next(stage for stage in stages if not all(stage.trained.parts))
    found, weights = computed(stage, store, tmp_path / "updated")
    labels = stage.trained.source.load().train.labels
    for client, part in enumerate(stage.trained.parts):
        counts = labels[list(part)].bincount(minlength=10)
        assert torch.equal(found["real"][client], counts)
        assert found["after_pct"][client].isnan().all() == (not part)
        assert found["silhouette"][client].isnan().all() == (not part)
    assert found["real"].sum() == len(labels) and not found["synthetic"].any()
    assert len(weights) == sum(map(bool, stage.trained.parts)) < 5
    points = load_file(tmp_path / "updated" / "features.safetensors")
    assert points["features"].shape[:2] == (5, updated.SHOWN)
    assert points["labels"].shape == (updated.SHOWN,) and set(points["labels"].tolist()) == {
        *range(10)
    }
    empty = torch.tensor([not part for part in stage.trained.parts])
    assert torch.equal((points["features"] == 0).flatten(1).all(1), empty)


@pytest.mark.parametrize("name", sorted(set(methods.known()) - KEPT))
def test_a_method_with_a_local_update_of_its_own_is_refused_before_anything_runs(name):
    refused(methods.get(name, {}), name)


def test_a_method_with_fedavgs_local_update_is_not():
    trained = run().stage(Pipeline()).trained
    for name in KEPT:
        updated.Updated(replace(trained, method=methods.get(name, {})))
    refused(watched(FedAvg(), "answer")[0], "watched")  # what it sends its clients may differ


def refused(method: Method, name: str) -> None:
    trained = replace(run().stage(Pipeline()).trained, method=method)
    with pytest.raises(ReglError, match=rf"'{re.escape(name)}' has a local update of its own"):
        updated.Updated(trained)
