"""The command line: what it passes on, and how it fails."""

import signal

import pytest

from regl_core import runs
from regl_core.press import cleaning, main, making, notebooks, status


@pytest.fixture
def executed(monkeypatch):
    calls = []
    monkeypatch.setattr(making, "make", lambda *arguments: calls.append(arguments))
    return calls


def test_run_passes_names_profile_and_changes_on(executed):
    more = ["--set", "training.rounds=3", "seeds=[0,1]", "--set", "training.rate=1.0e-4"]
    assert main(["run", "table2", "table3", "--profile", "smoke", *more]) == 0
    changes = {"training.rounds": 3, "seeds": [0, 1], "training.rate": 1e-4}
    assert executed == [(["table2", "table3"], "smoke", changes)]


def test_a_value_may_hold_what_it_likes(executed):
    main(["run", "table2", "--set", "methods.ReGL (FT)={a: b=c}", "foundation.captioner="])
    assert executed[0][1] == "desk"
    assert executed[0][2] == {"methods.ReGL (FT)": {"a": "b=c"}, "foundation.captioner": None}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "tableau"], "notebook 'tableau' is unknown"),
        (["run", "table2", "--profile", "dsk"], "profile 'dsk' is unknown (did you mean desk?)"),
        (["run", "table2", "--set", "training.roundz=3"], "did you mean rounds?"),
        (
            ["run", "table2", "--set", "training.rate='1e-4'"],
            "given '1e-4', expected a valid number",
        ),
        (["report", "--profile", "dsk"], "did you mean desk?"),
        (["check", "--set", "training.rounds"], "--set training.rounds: expected key=value"),
        (["check", "--set", "lora.rank=1", "lora.rank=2"], "lora.rank is set twice"),
        (["check", "--set", "seeds=[0"], "--set seeds=[0: expected YAML"),
        (["plan", "tableau"], "notebook 'tableau' is unknown"),
        (["plan", "--set", "betas=[0]"], "betas.0: given 0, expected greater than 0"),
    ],
)
def test_an_error_is_one_message_and_status_2(arguments, words, capsys):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ") and words in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("arguments", [[], ["run"], ["fly"], ["run", "table2", "--fast"]])
def test_wrong_usage_has_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_interrupted_it_says_how_to_go_on(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "make", interrupt)
    assert main(["run", "table2"]) == 130
    assert "run it again" in capsys.readouterr().err


def test_terminated_it_ends_as_if_interrupted_and_says_so(monkeypatch, capsys):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(making, "make", lambda *_: signal.raise_signal(signal.SIGTERM))
    assert main(["run", "table2"]) == 143
    assert capsys.readouterr().err.startswith("terminated; what was computed is kept")
    assert signal.getsignal(signal.SIGTERM) is before


def test_check_shows_every_setting_as_changed(capsys):
    assert main(["check", "--profile", "paper", "--set", "training.rounds=30"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "training.rounds = 30" in lines
    assert "datasets.cub.clients = 20" in lines
    assert "methods.FedAvg = {}" in lines


@pytest.mark.parametrize("names", [["table3"], []])
@pytest.mark.parametrize("measure", [["--calibrate"], []])
def test_plan_shows_what_planning_says(names, measure, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        "regl_core.press.grids.grids", lambda *given, pipeline: asked.append(given) or {}
    )
    monkeypatch.setattr("regl_core.plan.told", lambda *given: f"planned {given[-1]}")
    assert main(["plan", *names, *measure, "--profile", "smoke", "--set", "seeds=[0]"]) == 0
    told = names or [name for name in notebooks.known() if name.startswith("table")]
    assert asked == [(told, "smoke", {"seeds": [0]})]
    told = capsys.readouterr().out
    assert told.startswith(f"planned {bool(measure)}\n")


def test_report_status_and_clean_store_pass_profile_and_changes_on(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(making, "report", lambda *arguments: calls.append(arguments))
    assert main(["report", "--profile", "smoke", "--set", "seeds=[0]"]) == 0
    assert calls.pop() == ("smoke", {"seeds": [0]})
    monkeypatch.setattr(status, "status", lambda *given: f"fresh {given}")
    monkeypatch.setattr(
        cleaning,
        "clean",
        lambda profile, changes, store: calls.append((profile, changes, store.root)),
    )
    assert main(["status", "--profile", "smoke", "--set", "seeds=[0]"]) == 0
    assert capsys.readouterr().out == f"fresh {('smoke', {'seeds': [0]})}\n"
    assert main(["clean-store", "--profile", "smoke"]) == 0
    assert calls == [("smoke", {}, runs.STORE)]
    assert main(["status", "--set", "training.round=3"]) == 2
