"""What notebooks cost: everything once, in the first that needs it, and how sure that is."""

import pytest
from toy_heavy import Heavy, counted

from regl_core.engine.runner import closure
from regl_core.engine.store import Store
from regl_core.params import load
from regl_core.plan.budget import Budget, survey
from regl_core.plan.budget_page import told
from regl_core.plan.rates import HERE, Rates, Sample
from regl_core.plan.work import START, Unit
from regl_core.system import machine

__all__ = ["counted"]
FOUNDATION = load("smoke", {"foundation.device": "cuda"}).foundation
DRAWN = Unit("denoised", "tiny", device="cuda")  # an hour each
TRAINED = Unit("trained", "resnet34 64", 64, 128, "bfloat16", "cuda")  # not measured
HOUR = Rates((Sample("a GPU", DRAWN, 3600.0, HERE),))
GB = 10**9


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def found(asked, store, cores=2, gpus=0, known=HOUR) -> Budget:
    missing = closure((it for own in asked.values() for it in own), store.has)
    return survey(asked, missing, known, FOUNDATION, cores, gpus)


@pytest.fixture
def asked():
    """Two notebooks that share one of the images that they train on, and one run."""
    images = [Heavy(name, DRAWN, hours, GB) for name, hours in (("a", 1.0), ("b", 2.0), ("c", 4.0))]
    runs = [Heavy(f"run {i}", DRAWN, 8.0, 0, tuple(images[i : i + 2])) for i in (0, 1)]
    return {"table1": runs[:1], "table2": [*runs, Heavy("late", DRAWN, 0.5, 3 * GB)]}


def test_what_is_shared_is_counted_where_it_is_first_needed(asked, store):
    first, second, whole = found(asked, store).lines
    assert (first.runs, first.stages, first.unique, first.shared) == (1, 3, 3, 0)
    assert (second.runs, second.stages, second.unique, second.shared) == (3, 7, 6, 3)
    assert (whole.runs, whole.stages, whole.unique, whole.shared) == (4, 10, 6, 3)
    hours = [line.device_seconds / 3600 for line in (first, second, whole)]
    assert hours == [11.0, 12.5, 23.5]
    assert [line.disk / GB for line in (first, second, whole)] == [2, 4, 6]
    turned = {name: asked[name] for name in reversed(asked)}
    second, first, whole = found(turned, store).lines
    assert [second.shared, first.shared] == [0, 3] and first.device_seconds == first.disk == 0
    assert whole.device_seconds / 3600 == 23.5


def test_what_is_there_costs_nothing(asked, store):
    store.ensure(asked["table1"][0])
    first, second, whole = found(asked, store).lines
    assert (first.present, first.device_seconds, first.disk) == (3, 0, 0)
    assert (second.present, second.device_seconds / 3600) == (3, 12.5)
    assert (whole.present, whole.unique) == (3, 6)
    kinds = found(asked, store).kinds
    assert [(it.kind, it.unique, it.missing) for it in kinds] == [("Heavy", 6, 3)]


def test_several_gpus_share_the_work_and_no_chain_is_cut(asked, store):
    one, two, many = (found(asked, store, gpus=n).lines[-1].seconds / 3600 for n in (0, 2, 100))
    # One is assumed where there is none. The longest chain: the third images, the second run.
    assert (one, two, many) == (23.5, 12.0, 12.0)
    budget = found(asked, store, gpus=2)
    assert budget.on_gpu and budget.workers == 2
    assert sum(line.seconds for line in budget.lines[:-1]) == budget.lines[-1].seconds
    on_cores = {"fig1": [Heavy("a", Unit("denoised", "tiny"), 1000.0)]}
    budget = found(on_cores, store, cores=3, gpus=2)
    assert not budget.on_gpu and budget.workers == 3
    assert budget.lines[0].peak.gpu == 0


def test_how_much_of_it_was_measured(store):
    seconds = HOUR.of(TRAINED).seconds
    half = {"table1": [Heavy("a", DRAWN, 1.0), Heavy("b", TRAINED, 3600 / seconds)]}
    assert found(half, store).measured == pytest.approx(0.5)
    assert found({"table1": half["table1"][:1]}, store).measured == 1.0
    assert found({}, store).measured == 0.0


def test_a_peak_is_of_the_stages_that_are_missing(store):
    large = Heavy("large", TRAINED, 1.0)
    asked = {"table1": [large], "table2": [Heavy("small", DRAWN, 1.0), large]}
    first, second, whole = found(asked, store).lines
    assert 0 < first.peak.gpu < second.peak.gpu == whole.peak.gpu  # the models besides
    store.ensure(large)
    assert found(asked, store).lines[0].peak.gpu == 0


def test_the_page_says_all_of_it(asked, store, monkeypatch):
    monkeypatch.setattr(machine, "machines", lambda: {"cpu": "a processor"})
    text = told(found(asked, store), ["a note"])
    lines = text.splitlines()
    head = "notebook runs stages unique shared present GPU-hours hours disk GB GPU GB RAM GB"
    assert " ".join(lines[0].split()) == head
    assert lines[3].split()[:9] == ["all", "4", "10", "6", "3", "0", "23.5", "23.5", "6.0"]
    assert "GPU-hours: of one GPU; hours: on 1 GPU; all of the time rests on measure" in text
    (row,) = [line for line in lines if line.startswith("denoised")]
    assert row.endswith("measured here: a GPU") and lines[-1] == "a note"
    mixed = {"fig1": [Heavy("t", TRAINED, 1e9)]}
    text = told(found(mixed, store, gpus=8))
    assert "on 8 GPUs; 0 % of the time rests" in text and "measured here" not in text
    assert "assumed, not measured: 60" not in text.partition("how we know")[0]
    assert "assumed, not measured" in text.partition("how we know")[2]
    assert "minutes" in told(found({"fig1": [Heavy("s", START, 90.0)]}, store))


def test_alike_units_stand_in_one_row(store):
    batches = [Heavy(str(n), Unit("denoised", "tiny", batch=n), 500.0) for n in (1, 2)]
    text = told(found({"fig1": batches}, store, known=Rates.known(store.root)))
    (row,) = [line for line in text.splitlines() if line.startswith("denoised")]
    assert "1.0" in row.split()
