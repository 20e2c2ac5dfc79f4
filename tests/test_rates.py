"""How long work takes and how we know: measured here first, from a table else, or not at all."""

import pytest
from toy_heavy import Heavy, counted

from regl_core.errors import ReglError
from regl_core.plan import known, rates, seconds
from regl_core.plan.counts import BYTE, START, Unit
from regl_core.plan.rates import KEPT, Rate, keep

__all__ = ["counted"]
CPU = {"cpu": "Some Processor"}
TUNED = Unit("tuned", "tiny")
DENOISED = Unit("denoised", "an/id", 0, "bfloat16", "cuda")
TABLE = """\
what,model,side,dtype,device,card,seconds,source
tuned,tiny,0,float32,cpu,AMD EPYC,0.006,measured: somewhere
denoised,an/id,0,bfloat16,cuda,NVIDIA A100,0.01,"published: a page, of a table"
"""


@pytest.fixture(autouse=True)
def table(monkeypatch, tmp_path):
    monkeypatch.setattr(rates, "TABLE", tmp_path / "rates.csv")
    rates.TABLE.write_text(TABLE)


def test_the_shipped_table_is_one_and_names_its_sources(monkeypatch, tmp_path):
    monkeypatch.undo()
    found = known(tmp_path, {})
    assert len(found) > 5 and found[TUNED].seconds == 0.006
    for unit, rate in found.items():
        if unit not in (START, BYTE):
            assert rate.seconds > 0 and rate.card
            assert rate.source.startswith(("measured: ", "published: "))


def test_what_was_measured_here_goes_first(tmp_path):
    assert known(tmp_path, CPU)[TUNED] == Rate(TUNED, "AMD EPYC", 0.006, "measured: somewhere")
    here = Rate(TUNED, "Some Processor", 0.5, "measured here")
    keep([here, Rate(TUNED, "Another", 0.1, "measured here")], tmp_path)
    assert known(tmp_path, CPU)[TUNED] == here
    newer = Rate(TUNED, "Some Processor", 0.25, "measured here")
    keep([newer], tmp_path)  # in the place of the earlier one of this machine
    assert known(tmp_path, CPU)[TUNED] == newer
    assert known(tmp_path, {"cpu": "Another Processor"})[TUNED].seconds == 0.1
    assert (tmp_path / KEPT).read_text().count("\n") == 3


def test_a_card_of_the_table_stands_in_for_no_other(tmp_path):
    published = Rate(DENOISED, "NVIDIA A100", 0.01, "published: a page, of a table")
    assert known(tmp_path, CPU)[DENOISED] == published  # planned for one elsewhere
    assert known(tmp_path, {**CPU, "cuda": "NVIDIA A100-SXM4-80GB"})[DENOISED] == published
    assert DENOISED not in known(tmp_path, {**CPU, "cuda": "NVIDIA H200"})


def test_nothing_is_scaled_and_a_start_is_a_second(tmp_path):
    found = known(tmp_path, CPU)
    for other in (Unit("tuned", "small"), Unit("tuned", "tiny", 0, "bfloat16"), Unit("x", "tiny")):
        assert other not in found
    assert (found[START].seconds, found[BYTE].seconds) == (1.0, 0.0)


def test_a_stage_is_estimated_for_a_progress_bar(tmp_path):
    estimate = seconds(tmp_path, CPU)
    assert estimate(Heavy("a", TUNED, 100.0, 10**9)) == pytest.approx(0.6)
    unknown = Unit("tuned", "someone/else", device="cuda")
    assert estimate(Heavy("b", unknown, 100.0)) == pytest.approx(0.6)  # as if another model did it


@pytest.mark.parametrize("row", ["tuned", "tuned,tiny,0,float32,cpu,A,fast,h", "a,b,c,d,e,f,1,h"])
def test_a_file_of_measurements_that_is_none_is_told(tmp_path, row):
    (tmp_path / KEPT).parent.mkdir()
    (tmp_path / KEPT).write_text(f"{TABLE.splitlines()[0]}\n{row}\n")
    with pytest.raises(ReglError, match=r"measured\.csv is no table of .*CALIBRATE=1"):
        known(tmp_path, CPU)
