"""What notebooks cost: everything once, in the first that needs it, and how we know."""

import re

import pytest
from toy_heavy import Heavy, counted

from regl_core.engine import Store, closure
from regl_core.params import load
from regl_core.plan import DryRun, budget, time, told
from regl_core.plan.counts import BYTE, START, Unit
from regl_core.plan.rates import Rate

__all__ = ["counted"]
SETTINGS = load("smoke")
DRAWN = Unit("denoised", "tiny")  # an hour each
TRAINED = Unit("trained", "resnet34 64", 64, "bfloat16", "cuda")  # not measured
FREE = {START: Rate(START, "", 1.0, ""), BYTE: Rate(BYTE, "", 0.0, "")}
HOUR = {**FREE, DRAWN: Rate(DRAWN, "a processor", 3600.0, "measured here")}
GB = 10**9


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setattr(budget, "known", lambda store, machines: HOUR)
    monkeypatch.setattr(budget, "cores", lambda: 2)
    monkeypatch.setattr(budget, "gpus", lambda: ())


@pytest.fixture
def asked():
    """Two notebooks that share one of the images that they train on, and one run."""
    images = [Heavy(name, DRAWN, hours, GB) for name, hours in (("a", 1.0), ("b", 2.0), ("c", 4.0))]
    runs = [Heavy(f"run {i}", DRAWN, 8.0, 0, tuple(images[i : i + 2])) for i in (0, 1)]
    return {"table1": runs[:1], "table2": [*runs, Heavy("late", DRAWN, 0.5, 3 * GB)]}


def rows(asked, root) -> dict[str, list[str]]:
    """By notebook: runs, stages, to compute, hours of a device, GB on disk."""
    text = told(asked, DryRun(), SETTINGS, Store(root))
    lines = [re.split(r" {2,}", line.strip()) for line in text.split("\n\n")[1].splitlines()[1:]]
    return {name: its for name, *its in lines}


def test_what_is_shared_is_counted_where_it_is_first_needed(asked, tmp_path):
    assert rows(asked, tmp_path) == {
        "table1": ["1", "3", "3", "11.0 h", "2.0 GB"],
        "table2": ["3", "6", "3", "12.5 h", "4.0 GB"],
        "all": ["4", "6", "6", "23.5 h", "6.0 GB"],
    }
    turned = {name: asked[name] for name in reversed(asked)}
    assert rows(turned, tmp_path)["table1"] == ["1", "3", "0", "0.0 min", "0.0 MB"]
    assert rows(turned, tmp_path)["all"] == ["4", "6", "6", "23.5 h", "6.0 GB"]


def test_what_is_there_costs_nothing(asked, tmp_path):
    Store(tmp_path).ensure(asked["table1"][0])
    found = rows(asked, tmp_path)
    assert found["table1"][2:] == ["0", "0.0 min", "0.0 MB"]
    assert found["table2"] == ["3", "6", "3", "12.5 h", "4.0 GB"]
    for stage in asked["table2"]:
        Store(tmp_path).ensure(stage)
    text = told(asked, DryRun(), SETTINGS, Store(tmp_path))
    assert text.startswith("time: none, all of it is there; disk: 0.0 MB; to download: nothing")


def test_the_first_line_is_the_answer(asked, tmp_path):
    answer = told(asked, DryRun(), SETTINGS, Store(tmp_path)).splitlines()[0]
    # Two cores, and no chain is cut: the third images, then the second run.
    expected = "time: about 12.0 h on 2 cores; disk: 6.0 GB; to download: nothing; missing: nothing"
    assert answer == expected


def test_several_devices_share_the_work_and_no_chain_is_cut(asked, monkeypatch):
    missing = closure(asked["table2"])
    for cores, hours in ((1, 23.5), (2, 12.0), (100, 12.0)):
        monkeypatch.setattr(budget, "cores", lambda cores=cores: cores)
        assert time(missing, HOUR).startswith(f"time: about {hours} h on {cores} core")
    on_gpu = closure([Heavy("t", TRAINED, 3600.0)])
    rates = {**FREE, TRAINED: Rate(TRAINED, "a GPU", 2.0, "measured here")}
    # One is reckoned with where there is none.
    assert time(on_gpu, rates) == "time: about 2.0 h on 1 GPU"
    monkeypatch.setattr(budget, "gpus", lambda: ("0", "1"))
    assert time(on_gpu | closure([Heavy("u", TRAINED, 1800.0)]), rates).endswith("h on 2 GPUs")


def test_what_is_not_measured_is_not_reckoned_and_is_said(tmp_path):
    asked = {"table1": [Heavy("a", DRAWN, 2.0), Heavy("b", TRAINED, 100.0)]}
    text = told(asked, DryRun(), SETTINGS, Store(tmp_path))
    said = "not measured here: make plan CALIBRATE=1"
    assert text.startswith(f"time: {said}; what is known takes 2.0 h on 1 GPU; ")
    assert rows(asked, tmp_path)["table1"][3] == "> 2.0 h"
    (row,) = [line for line in text.splitlines() if line.startswith("trained")]
    assert re.split(r" {2,}", row)[1:] == ["100", "?", "?", said]


def test_the_rate_that_is_printed_is_the_one_reckoned_with(tmp_path):
    """Stages of one work in batches of several sizes are one row, and have one rate."""
    asked = {"fig1": [Heavy(str(n), DRAWN, float(n)) for n in (1, 2, 3)]}
    text = told(asked, DryRun(), SETTINGS, Store(tmp_path))
    (row,) = [line for line in text.splitlines() if line.startswith("denoised")]
    what, number, per_second, hours, source = re.split(r" {2,}", row)
    assert (what, number, hours) == ("denoised: tiny, float32", "6", "6.0 h")
    assert source == "a processor, measured here"
    assert float(per_second) == pytest.approx(1 / 3600, abs=0.05)
