"""What kind of device computes is part of a key, what the settings call it is not."""

import pytest
from toy_stages import Draw

from regl_core.engine import Stage, Store, entry
from regl_core.evidence import Probe
from regl_core.params import load
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.plan import counts
from regl_core.runs import Run
from regl_core.system import machine


@pytest.fixture(params=["cpu", "cuda"])
def here(request, monkeypatch) -> str:
    """What "auto" means on this machine."""
    names = {"cpu": "a processor"} | ({"cuda": "a GPU"} if request.param == "cuda" else {})
    monkeypatch.setattr(machine, "machines", lambda: names)
    return request.param


def trained(method: str, **devices: str) -> Stage:
    its = load("smoke", {f"{group}.device": name for group, name in devices.items()})
    two = Dirichlet(beta=0.5, clients=2)
    run = Run(dataset="digits", partition=two, method=method, seed=0, settings=its)
    return run.stage(Pipeline())


def judge(**devices: str) -> Stage:
    its = load("smoke", {f"{group}.device": name for group, name in devices.items()})
    return Probe(title="", dataset="digits", owned=(), seed=0, settings=its).stage(Pipeline()).judge


@pytest.mark.parametrize("group", ["training", "foundation"])
def test_a_key_has_the_kind_of_device_that_auto_means_here(group, here):
    auto, cpu, cuda = (
        trained("ReGL (TF)", **{group: name}).key for name in ("auto", "cpu", "cuda")
    )
    assert cpu != cuda and auto == {"cpu": cpu, "cuda": cuda}[here]


def test_judges_and_images_have_it_each_from_their_own_group(here):
    auto, cpu, cuda = (judge(training=name).key for name in ("auto", "cpu", "cuda"))
    assert cpu != cuda and auto == {"cpu": cpu, "cuda": cuda}[here]
    one, other = (trained("ReGL (TF)", foundation=name) for name in ("cpu", "cuda"))
    assert not {it.key for it in one.needs()} & {it.key for it in other.needs()}
    trainings = (trained("ReGL (TF)", training=name) for name in ("cpu", "cuda"))
    first, second = ([it.key for it in stage.needs()] for stage in trainings)
    assert first == second  # the images do not know what a network is trained on
    assert trained("FedAvg", foundation="cpu").key == trained("FedAvg", foundation="cuda").key


def test_what_auto_meant_is_what_computes(here):
    stage = trained("ReGL (TF)", training="auto", foundation="auto")
    assert stage.training.device == here
    assert stage.needs()[0].models.settings.device == stage.needs()[0].models.device == here
    assert {unit.device for unit in counts.of(stage) if unit.what == "trained"} == {here}
    assert stage.on_gpu == stage.needs()[0].on_gpu == (here == "cuda")


def test_an_entry_names_what_computed_it(tmp_path):
    found = entry.read(Store(tmp_path).ensure(Draw(1)))["machine"]
    assert found["cpu"] == machine.machines()["cpu"] and found["instructions"]
