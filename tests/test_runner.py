"""The runner: everything once, whatever the number of workers and whoever dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_store import contents
from toy_stages import Broken, Draw, Logged, Seen, Threads

from regl_core.engine import Store, run_stages
from regl_core.engine.workers import Workers
from regl_core.errors import Halt, Incomplete, ReglError
from regl_core.system import machine

PROGRAM = """
import signal
# A shell that starts the tests in the background has them ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
from pathlib import Path
from regl_core.engine import Store, run_stages
from toy_stages import Draw, Logged
run_stages([Logged(sys.argv[1], "a", after=(Draw(1),))], Store(Path(sys.argv[2])), workers=1)
"""


@pytest.fixture
def log(tmp_path):
    """A file outside the store, to which stages write that they began."""
    return tmp_path / "log"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def diamond(log: Path) -> list[Logged]:
    """Two targets that share two of the three stages below them."""
    first = Logged(str(log), "first")
    left, right = (Logged(str(log), name, after=(first,)) for name in ("left", "right"))
    return [
        Logged(str(log), "top", after=(left, right)),
        Logged(str(log), "side", after=(right,)),
    ]


def test_each_stage_once_and_needs_first(store, log, capsys):
    targets = diamond(log)
    run_stages(targets, store, workers=2)
    shown = capsys.readouterr().err
    order = log.read_text().split()
    assert sorted(order) == ["first", "left", "right", "side", "top"]
    assert order[0] == "first" and order.index("top") > order.index("left")
    assert "stages 5/5 100%" in shown and "\n" in shown and shown.count("\n") == 1
    run_stages(targets, store, workers=2)
    assert capsys.readouterr().err == ""
    assert len(log.read_text().split()) == 5


def test_results_do_not_depend_on_the_number_of_workers(tmp_path):
    draws = [Draw(seed) for seed in range(4)]
    targets = [Draw(9, tuple(draws)), Draw(8, (draws[0], Draw(7, (draws[1],))))]
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    run_stages(targets, one, workers=1, progress=False)
    run_stages(targets, two, workers=2, progress=False)
    for stage in [*draws, *targets]:
        assert contents(one.path(stage)) == contents(two.path(stage))


def test_a_worker_has_one_thread_and_the_parent_keeps_its_environment(store, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    run_stages([Threads()], store, workers=1, progress=False)
    assert contents(store.path(Threads())) == {"torch.txt": b"1", "openmp.txt": b"1"}
    assert os.environ["OMP_NUM_THREADS"] == "3" and "MKL_NUM_THREADS" not in os.environ


def test_a_failure_fails_what_needs_it_and_nothing_else(store, log):
    bad = Broken("defect")
    beside = Logged(str(log), "beside", seconds=1.0)
    after = Logged(str(log), "after", after=(bad, beside))
    last = Logged(str(log), "last", after=(after,))
    later = Logged(str(log), "later", after=(beside,))
    with pytest.raises(Incomplete) as raised:
        run_stages([last, later], store, workers=2, progress=False)
    summary, first, *rest = str(raised.value).splitlines()
    assert summary.startswith("1 of 5 stages failed, 2 were not begun, 2 are finished and kept")
    assert first.startswith("Broken(how='defect')") and first.endswith("two and two is five")
    assert any("Traceback" in line for line in rest)
    assert log.read_text().split() == ["beside", "later"]
    assert store.has(beside) and store.has(later)
    assert not store.has(after) and not store.has(last)


def test_what_every_stage_would_meet_ends_all(store, log):
    beside = Logged(str(log), "beside", seconds=3.0)
    later = Logged(str(log), "later", after=(beside,))
    with pytest.raises(Halt, match="1 of 3 stages failed, 1 were not begun, 1 are finished"):
        run_stages([Broken("full"), later], store, workers=2, progress=False)
    assert log.read_text().split() == ["beside"]


def test_a_killed_worker_is_told_and_the_others_go_on(store, log):
    beside = Logged(str(log), "beside", seconds=3.0)
    killed, more = Broken("killed"), [Logged(str(log), name) for name in "abc"]
    with pytest.raises(Incomplete, match=r"Broken\(how='killed'\).*SIGKILL.*fewer") as raised:
        run_stages([killed, beside, *more], store, workers=2, progress=False)
    assert "running beside it: Logged(" in str(raised.value)
    assert "4 are finished and kept" in str(raised.value)
    assert all(map(store.has, [beside, *more])) and not store.has(killed)
    store.sweep()
    assert not list(store.root.glob("tmp/*"))


def test_a_worker_that_died_or_met_a_defect_is_replaced_and_one_that_gave_advice_is_kept(tmp_path):
    """With an illegal access, say, it has lost its GPU, and would fail all that is ready."""
    store, told = Store(tmp_path / "store"), {}
    with Workers(store, ("5",)) as pool:
        processes = [pool.alive[0].process]
        for stage in (Broken("advice"), Broken("lost"), Broken("killed"), Seen(1)):
            pool.start(stage)
            while pool.running:
                told |= dict(pool.news(1))
            processes.append(pool.alive[0].process)
    first, kept, second, third, last = processes
    assert first is kept and len({first, second, third}) == 3 and third is last
    failed = told[Broken("lost")]
    assert failed.line == "torch.AcceleratorError: CUDA error: unspecified launch failure"
    assert "Compile with" in failed.traceback
    assert (store.path(Seen(1)) / "sees").read_text() == "5"


@pytest.mark.parametrize("how", ["kill the whole", "interrupt"])
def test_an_end_in_the_middle_is_clean(store, log, how):
    """Killed or interrupted, the workers end too, and the next run gives the same bytes."""
    stage = Logged(str(log), "a", after=(Draw(1),))
    hang = Path(f"{log}.hang")
    hang.touch()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, log, store.root],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not log.exists():
        assert process.poll() is None
        time.sleep(0.02)
    if how == "interrupt":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    else:
        process.kill()
    shown = process.communicate(timeout=60)[1]  # ends when the last worker closes its stderr
    if how == "interrupt":
        assert shown.count("KeyboardInterrupt") == 1
    hang.unlink()
    store.sweep()
    assert not list(store.root.glob("tmp/*"))
    assert contents(store.ensure(stage)) == {"begun.txt": b"a", "name.txt": b"a"}
    assert log.read_text() == "a\na\n"


def test_an_onlooker_hears_of_it_and_can_end_it(store, log):
    heard = []
    stages = [Logged(str(log), name) for name in "ab"]
    run_stages(stages, store, 1, progress=False, watch=lambda *news: heard.append(news))
    assert heard[0] == (0.0, "Logged 0/2") and heard[-1] == (1.0, "stages 2/2")
    endless = Logged(str(log), "c")
    Path(f"{log}.hang").touch()

    def enough(fraction: float, running: str) -> None:
        if fraction > 0:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        run_stages([endless], store, 1, progress=False, watch=enough)
    Path(f"{log}.hang").unlink()
    assert not store.has(endless)
    assert store.ensure(endless)  # its lock is free


def test_the_longest_chain_is_begun_first(store, log):
    first = Logged(str(log), "first")
    long = Logged(str(log), "long", after=(first,))
    stages = [*(Logged(str(log), name) for name in "ab"), long]
    took = {"first": 2.0, "long": 5.0, "a": 3.0, "b": 6.0}
    heard = []
    run_stages(
        stages,
        store,
        workers=1,
        progress=False,
        watch=lambda share, _: heard.append(share),
        seconds=lambda stage: took[stage.name],
    )
    assert log.read_text().split() == ["first", "b", "long", "a"]
    assert {0.0, 2 / 16, 8 / 16, 13 / 16, 1.0} <= set(heard)


def test_no_workers_is_an_error(store):
    with pytest.raises(ReglError, match="at least 1"):
        run_stages([Draw(1)], store, workers=0)


def test_each_worker_has_a_gpu_of_its_own_where_stages_need_one(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "gpus", lambda: ("0", "3"))
    assert machine.places(on_gpu=True) == ("0", "3")
    assert machine.places(on_gpu=True, most=1) == ("0",)
    assert machine.places(on_gpu=False, most=3) == (None, None, None)
    assert set(machine.places(on_gpu=False)) == {None}
    monkeypatch.setattr(machine, "gpus", lambda: ())
    assert machine.places(on_gpu=True, most=2) == (None, None)  # the stages themselves will tell


def test_a_worker_sees_the_gpu_it_was_given(tmp_path):
    store = Store(tmp_path / "store")
    with Workers(store, ("1", "0")) as pool:
        for stage in (Seen(1), Seen(2)):
            pool.start(stage)
        while pool.running:
            list(pool.news(1))
    assert sorted((store.path(Seen(n)) / "sees").read_text() for n in (1, 2)) == ["0", "1"]
