"""How long work takes and how we know: first what was measured, and nothing else is called so."""

import json

import pytest

from regl_core.errors import ReglError
from regl_core.plan import rates
from regl_core.plan.rates import (
    HERE,
    REFERENCE,
    SHIPPED,
    TINY,
    Rates,
    Sample,
    keep,
    kept,
    machines,
)
from regl_core.plan.work import BYTE, START, Unit
from regl_core.system import machine

SD = "stable-diffusion-v1-5/stable-diffusion-v1-5"
GPU = {"dtype": "bfloat16", "device": "cuda"}
DENOISED = Unit("denoised", SD, batch=32, **GPU)
TRAINED = Unit("trained", "resnet34 64", 224, 128, **GPU)
HEADER = "machine,unit,size,dtype,per_second,memory_gb,share_of_bare\n"
BENCH = f"""{HEADER}\
NVIDIA H100,denoised,stable-diffusion-v1-5 512,bfloat16,200.0,9.1,
NVIDIA H100,trained,resnet34 224,bfloat16,4000.0,3.5,0.97
NVIDIA H100,"trained, SCAFFOLD",resnet34 224,bfloat16,3900.0,3.5,0.96
NVIDIA H100,"trained, bare loop",resnet34 224,float32,1000.0,3.5,0.96
NVIDIA H100,sampled,stable-diffusion-v1-5 512,bfloat16,4.0,9.1,0.96
cpu,denoised,small replica 64,bfloat16,7.0,1.0,
"""


@pytest.fixture
def bench(tmp_path):
    path = tmp_path / "gpu.csv"
    path.write_text(BENCH)
    return path


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def test_nothing_assumed_is_called_measured(store, tmp_path):
    """Without a measurement every rate of a true-size model says that it is assumed."""
    known = Rates.known(store, tmp_path / "none.csv")
    for what in rates.H200.sustained:
        model, side = ("resnet34 64", 224) if what in ("trained", "evaluated") else (SD, 0)
        rate = known.of(Unit(what, model, side, **GPU))
        assert not rate.measured and rate.source.startswith("assumed, not measured")
        assert "NVIDIA H200" in rate.source and rate.seconds > 0
    on_core = known.of(Unit("trained", "resnet34 64", 224))
    assert not on_core.measured and "processor core" in on_core.source


def test_an_assumed_rate_is_operations_at_a_throughput(store, tmp_path):
    known = Rates.known(store, tmp_path / "none.csv")
    half = known.of(TRAINED).seconds
    assert half == pytest.approx(3 * 2 * 3.66e9 / rates.H200.sustained["trained"], rel=0.02)
    single = Unit("trained", "resnet34 64", 224, 128, device="cuda")
    assert known.of(single).seconds == pytest.approx(2 * half)
    # A few small images keep a GPU waiting for calls.
    alone = known.of(Unit("trained", "resnet34 64", 64, 1, **GPU)).seconds
    assert alone > 50 * known.of(Unit("trained", "resnet34 64", 64, 512, **GPU)).seconds


def test_what_was_shipped_goes_before_assumptions(store, bench):
    known = Rates.known(store, bench)
    rate = known.of(DENOISED)
    assert rate == rates.Rate(1 / 200, True, "measured, shipped: NVIDIA H100")
    assert known.of(TRAINED).seconds == 1 / 4000 and known.of(TRAINED).measured
    # The same architecture by another name, in a folder say, is the same work.
    elsewhere = known.of(Unit("denoised", "me/sd15", **GPU))
    assert elsewhere.measured and elsewhere.seconds == 1 / 200


def test_another_size_is_scaled_and_not_called_measured(store, bench):
    known = Rates.known(store, bench)
    small = known.of(Unit("trained", "resnet34 64", 64, 128, **GPU))
    assert small.seconds == pytest.approx(4 / 49 / 4000, rel=0.02)
    assert not small.measured and small.source.startswith("scaled by operations, 0.08")
    assert "NVIDIA H100" in small.source
    tested = known.of(Unit("evaluated", "resnet34 64", 224, **GPU))
    assert tested.seconds == pytest.approx(1 / 4000 / 3, rel=0.03) and not tested.measured
    # Another number format was not measured, nor was what is far from it.
    assert "assumed" in known.of(Unit("trained", "resnet34 64", 224, device="cuda")).source
    assert "assumed" in known.of(Unit("trained", "resnet_small 8", 16, **GPU)).source


def test_what_was_measured_here_goes_first(store, bench):
    here = machines()["cpu"]
    keep([Sample("NVIDIA H200", DENOISED, 0.001, HERE)], store)
    rate = Rates.known(store, bench).of(DENOISED)
    assert rate == rates.Rate(0.001, True, "measured here: NVIDIA H200")
    tuned = Unit("tuned", "tiny", batch=16)
    assert Rates.known(store, bench).of(tuned).source == f"{SHIPPED}: {REFERENCE}"
    keep([Sample("another processor", tuned, 0.5, HERE), Sample(here, tuned, 0.25, HERE)], store)
    rate = Rates.known(store, bench).of(tuned)
    assert rate.seconds == 0.25 and rate.source == f"{HERE}: {here}"


def test_a_new_measurement_replaces_the_old_one_of_its_machine(store):
    keep([Sample("a", DENOISED, 1.0, HERE), Sample("b", DENOISED, 2.0, HERE)], store)
    keep([Sample("a", DENOISED, 3.0, HERE), Sample("a", TRAINED, 4.0, HERE)], store)
    found = {(it.machine, it.unit.what): it.seconds for it in kept(store)}
    assert found == {("a", "denoised"): 3.0, ("b", "denoised"): 2.0, ("a", "trained"): 4.0}


def test_the_tiny_models_have_shipped_rates(store, tmp_path):
    known = Rates.known(store, tmp_path / "none.csv")
    for unit, seconds in TINY.items():
        assert known.of(unit) == rates.Rate(seconds, True, f"{SHIPPED}: {REFERENCE}")
    wider = known.of(Unit("trained", "resnet_small 16", 16))
    assert not wider.measured and TINY[Unit("trained", "resnet_small 8", 16)] < wider.seconds


def test_a_start_is_a_second_and_what_is_kept_takes_no_time(store):
    known = Rates.known(store)
    drawn = Unit("denoised", "tiny")
    assert known.seconds({START: 2, BYTE: 1e9, drawn: 100}) == pytest.approx(2 + 100 * TINY[drawn])


def test_auto_is_the_device_that_is_here(store, monkeypatch):
    known = Rates.known(store)
    automatic = Unit("denoised", "tiny", device="auto")
    assert machine.resolved("auto") == ("cuda" if "cuda" in machines() else "cpu")
    monkeypatch.setattr(machine, "machines", lambda: {"cpu": "a processor"})
    assert known.of(automatic).seconds == TINY[Unit("denoised", "tiny")]
    monkeypatch.setattr(machine, "machines", lambda: {"cpu": "a processor", "cuda": "a GPU"})
    assert "assumed" in Rates.known(store).of(automatic).source


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", '[{"machine": "a"}]', '[{"unit": {"size": 3}}]', "[" * 100_000, "\xff", None],
)
def test_a_file_of_measurements_that_is_none_is_told_and_left_out(store, text):
    path = store / rates.FOLDER / "measured.json"
    if text is None:
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(parents=True)
        path.write_bytes(text.encode("latin1"))
    with pytest.warns(UserWarning, match=r"measured\.json: expected measurements.*CALIBRATE=1"):
        found = Rates.known(store)
    assert found.of(Unit("denoised", "tiny")).seconds == TINY[Unit("denoised", "tiny")]


@pytest.mark.parametrize(
    "row",
    [
        "NVIDIA H100,denoised,sd 512,bfloat16,fast,1,",
        "NVIDIA H100,denoised,sd 512,bfloat16,0,1,",
        "NVIDIA H100,trained,resnet34,bfloat16,10,1,",
        "NVIDIA H100",
    ],
)
def test_a_bench_that_is_none_is_told_with_its_line(store, bench, row):
    bench.write_text(HEADER + row + "\n")
    with pytest.raises(ReglError, match=r"gpu\.csv, line 2: expected"):
        Rates.known(store, bench)


def test_measurements_survive_their_file(store):
    samples = [Sample("a", DENOISED, 1.5, HERE), Sample("b", TRAINED, 2.5, HERE)]
    keep(samples, store)
    assert kept(store) == samples
    assert json.loads((store / "rates" / "measured.json").read_text())[0]["unit"]["batch"] == 32
