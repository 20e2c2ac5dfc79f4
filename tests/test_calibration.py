"""Measuring this machine, with the shipped tiny models."""

import pytest
import torch

from regl_core.params import load
from regl_core.plan import calibration, known
from regl_core.plan.counts import BYTE, START, Unit
from regl_core.system import machines

SETTINGS = load("smoke")
NETWORK = "resnet_small 8", 16, SETTINGS.training.precision, "cpu"
UNITS = [
    Unit("captioned", "tiny/captioner"),
    Unit("embedded", "tiny/image-encoder"),
    *(Unit(what, "tiny") for what in ("encoded", "denoised", "tuned")),
    *(Unit(what, *NETWORK) for what in ("trained", "evaluated")),
]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(calibration, "SECONDS", 0.005)


def measured(root) -> set[str]:
    rates = known(root, machines()).values()
    return {it.unit.what for it in rates if it.source == "measured here"}


def test_every_kind_of_work_is_measured_kept_and_used(tmp_path):
    assert calibration.measure([*UNITS, START, BYTE], SETTINGS, tmp_path) == []
    assert measured(tmp_path) == {unit.what for unit in UNITS}
    for unit in UNITS:
        rate = known(tmp_path, machines())[unit]
        assert rate.card == machines()["cpu"] and 1e-6 < rate.seconds < 10


def test_a_device_that_is_not_here_is_not_measured(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    calibration.measure([Unit("trained", "resnet_small 8", 16, device="cuda")], SETTINGS, tmp_path)
    assert measured(tmp_path) == set()


def test_models_that_are_not_at_hand_cost_no_other_its_measurement(tmp_path):
    its = SETTINGS.altered({"foundation": {"name": "someone/sd"}})
    (said,) = calibration.measure([Unit("denoised", "someone/sd"), UNITS[-1]], its, tmp_path)
    assert said.startswith("not measured: denoised: foundation.")
    assert measured(tmp_path) == {"evaluated"}


def test_nor_does_what_does_not_fit(tmp_path, monkeypatch):
    def full(*arguments, **named):
        raise torch.OutOfMemoryError("1 GiB wanted")

    monkeypatch.setattr(calibration.training, "local_sgd", full)
    (said,) = calibration.measure(UNITS[-2:], SETTINGS, tmp_path)
    assert said.startswith("not measured: trained: ") and "lower training.batch_size" in said
    assert measured(tmp_path) == {"evaluated"}


def test_seconds_are_for_one_of_the_units(monkeypatch):
    """Of five a second, four steps each: the clock stands still but for the work."""
    clock = {"at": 0.0}
    monkeypatch.setattr(calibration.time, "process_time", lambda: clock["at"])
    monkeypatch.setattr(calibration.time, "perf_counter", lambda: clock["at"])

    def run(count):
        clock["at"] += 0.2 * count

    assert calibration._seconds(run, 100, 4) == pytest.approx(0.05)
