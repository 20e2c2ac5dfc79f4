"""Measuring this machine, with the shipped tiny models; and when it is done."""

import pytest
import torch
from toy_models import IDS, cache, cached, naming, written

from regl_core.conditions import BATCH
from regl_core.params import load
from regl_core.plan import calibration, rates
from regl_core.plan.rates import HERE, REFERENCE, Rates, kept, machines
from regl_core.plan.work import BYTE, START, Unit, classifier, generative
from regl_core.system import machine

__all__ = ["cache"]
SETTINGS = load("smoke")
KINDS = ("captioned", "embedded", "encoded", "decoded", "denoised", "tuned")
UNITS = [
    *(generative(what, SETTINGS.foundation, 4) for what in KINDS),
    *(classifier(what, SETTINGS.training, 16, 8) for what in ("trained", "evaluated")),
]
WORK = [dict.fromkeys([*UNITS, START, BYTE], 10.0)]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(calibration, "SECONDS", 0.02)


def test_every_kind_of_work_is_measured_kept_and_used(tmp_path):
    (said,) = calibration.measure(WORK, SETTINGS, tmp_path, anew=True)
    assert "measured just now" in said and all(unit.what in said for unit in UNITS)
    known = Rates.known(tmp_path)
    for unit in UNITS:
        rate = known.of(unit)
        assert rate.source == f"{HERE}: {machines()['cpu']}" and rate.measured
        assert 1e-6 < rate.seconds < 10
    assert {it.unit for it in kept(tmp_path)} == set(UNITS)


def test_a_processor_is_measured_only_when_asked_to(tmp_path):
    assert calibration.measure(WORK, SETTINGS, tmp_path, anew=False) == []
    assert not list(tmp_path.iterdir())
    assert REFERENCE in Rates.known(tmp_path).of(UNITS[0]).source


def on_a_gpu(monkeypatch, settings=SETTINGS):
    """What would be measured on a GPU; the work is done by nobody."""
    asked = []

    def measured(bench, unit, amount):
        asked.append(unit)
        return 0.5

    for module in (rates, calibration, machine):
        monkeypatch.setattr(module, "machines", lambda: {"cpu": "a processor", "cuda": "a GPU"})
    for what in calibration.MEASURED:
        monkeypatch.setitem(calibration.MEASURED, what, measured)
    return asked


def units_of(settings, *kinds):
    return [generative(what, settings.foundation, BATCH) for what in kinds]


def test_an_unknown_gpu_is_measured_once(tmp_path, monkeypatch):
    asked = on_a_gpu(monkeypatch)
    its = SETTINGS.altered({"foundation.device": "cuda", "training.device": "cuda"})
    network = classifier("trained", its.training, 16, 8)
    work = [{unit: 1.0 for unit in [*units_of(its, "denoised"), network, *UNITS[:1]]}]
    assert calibration.measure(work, its, tmp_path, anew=False)
    assert [unit.what for unit in asked] == ["denoised", "trained"]
    assert Rates.known(tmp_path).of(network).source == f"{HERE}: a GPU"
    assert calibration.measure(work, its, tmp_path, anew=False) == [] and len(asked) == 2
    assert calibration.measure(work, its, tmp_path, anew=True) and len(asked) == 5


def test_models_that_are_not_at_hand_are_not_measured(tmp_path, monkeypatch):
    asked = on_a_gpu(monkeypatch)
    away = {"name": "someone/sd", "image_encoder": "someone/clip", "captioner": "someone/blip"}
    its = SETTINGS.altered({"foundation": {**away, "device": "cuda"}, "training.device": "cuda"})
    network = classifier("trained", its.training, 16, 8)
    calibration.measure(
        [{it: 1.0 for it in [*units_of(its, *KINDS), network]}], its, tmp_path, True
    )
    assert asked == [network]
    # Nor those of other settings than the ones that are loaded.
    other = [{Unit("denoised", "tiny", device="cuda"): 1.0}]
    assert calibration.measure(other, its, tmp_path, anew=True) == []


def test_models_of_a_revision_are_measured(tmp_path, monkeypatch, cache):
    asked = on_a_gpu(monkeypatch)
    revisions = {"revision": "v1", "image_encoder_revision": "v2", "captioner_revision": "v3"}
    its = naming(IDS, **revisions, device="cuda")
    work = [dict.fromkeys(units_of(its, *KINDS), 1.0)]
    assert calibration.measure(work, its, tmp_path, anew=True) == [] and asked == []
    for (key, folder), ref in zip(written(tmp_path / "m").items(), revisions.values(), strict=True):
        cached(cache, IDS[key], folder, "1" * 40, ref)
    assert calibration.measure(work, its, tmp_path, anew=True)
    assert [unit.what for unit in asked] == list(KINDS)
    # Those of another revision than the one that is loaded are not.
    other = naming(IDS, **{**revisions, "revision": "1" * 40}, device="cuda")
    assert calibration.measure(work, other, tmp_path, anew=True) == []


def test_nor_is_a_device_that_is_not_here(tmp_path, monkeypatch):
    asked = on_a_gpu(monkeypatch)
    for module in (rates, calibration, machine):
        monkeypatch.setattr(module, "machines", lambda: {"cpu": "a processor"})
    its = SETTINGS.altered({"training.device": "cuda"})
    work = [{classifier("trained", its.training, 16, 8): 1.0}]
    assert calibration.measure(work, its, tmp_path, anew=True) == [] and asked == []


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, RuntimeError])
def test_what_does_not_fit_costs_nothing_else(tmp_path, monkeypatch, kind):
    wanted = "ALLOC_FAILED: 1 GiB wanted"

    def too_large(bench, unit, amount):
        raise kind(wanted)

    monkeypatch.setitem(calibration.MEASURED, "trained", too_large)
    monkeypatch.setitem(calibration.MEASURED, "evaluated", lambda *_: 0.25)
    said, failed = calibration.measure([dict.fromkeys(UNITS[-2:], 1.0)], SETTINGS, tmp_path, True)
    assert said.endswith(": evaluated")
    assert failed == f"not measured, as memory is too small: trained: {wanted}"
    assert [it.unit.what for it in kept(tmp_path)] == ["evaluated"]


def test_nor_does_a_single_image_that_does_not_fit(tmp_path, monkeypatch):
    """`Fitting` has made an error of its own of it by then."""

    def full(*arguments, **named):
        raise torch.OutOfMemoryError("1 GiB wanted")

    monkeypatch.setattr("regl_core.models.ResNetSmall.forward", full)
    monkeypatch.setitem(calibration.MEASURED, "trained", lambda *_: 0.25)
    said, failed = calibration.measure([dict.fromkeys(UNITS[-2:], 1.0)], SETTINGS, tmp_path, True)
    assert said.endswith(": trained")
    assert failed.startswith("not measured: evaluated: out of memory: ")
    assert [it.unit.what for it in kept(tmp_path)] == ["trained"]


def test_a_defect_is_no_lack_of_memory(tmp_path, monkeypatch):
    def broken(bench, unit, amount):
        raise RuntimeError("shape mismatch")

    monkeypatch.setitem(calibration.MEASURED, "trained", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        calibration.measure([dict.fromkeys(UNITS[-2:], 1.0)], SETTINGS, tmp_path, True)


def test_the_difference_of_steps_is_what_they_take(monkeypatch):
    clock = {"at": 0.0}
    monkeypatch.setattr(calibration, "_now", lambda: clock["at"])

    def run(steps):
        clock["at"] += 10 + 3 * steps

    assert calibration._per_step(run) == pytest.approx(3.0)


def test_threads_are_as_they_were():
    before = torch.get_num_threads()
    with calibration.one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
