"""Running notebooks: checked before anything runs, and a failure is kept, shown and told apart."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from toy_notebooks import PARAMETERS, write

from regl_core.errors import ReglError
from regl_core.params import ROOT
from regl_core.press.execution import execute
from regl_core.press.notebooks import find
from regl_core.report import write_page


@pytest.fixture
def folder(tmp_path):
    # Braces and spaces: papermill fills in braces, shells split at spaces.
    path = tmp_path / "note {books}"
    path.mkdir()
    return path


def printed(copy: Path) -> str:
    cells = nbformat.read(copy, as_version=4).cells
    return "".join(o.get("text", "") for c in cells for o in c.get("outputs", []))


def test_a_notebook_gets_its_parameters_and_runs_at_the_root_with_this_python(folder, capsys):
    say = "import os, sys, regl_core; print([os.getcwd(), sys.executable, profile, changes])"
    write(folder, "good", say)
    changes = {"training.rounds": 3, "seeds": [0, 1], "datasets.digits.root": None}
    execute(["good"], "smoke", changes, folder / "out", folder)
    copy = folder / "out/good.ipynb"
    assert printed(copy).strip() == str([str(ROOT), sys.executable, "smoke", changes])
    shown = capsys.readouterr()
    assert printed(copy) in shown.out and str(copy) in shown.out
    assert shown.err == ""
    assert os.listdir(folder / "out") == ["good.ipynb"]


def test_links_lead_from_the_copy_and_its_page_where_they_lead_from_the_notebook(tmp_path):
    home, out = tmp_path / "notebooks", tmp_path / "figures/smoke/notebooks"
    home.mkdir()
    write(home, "fig8", "1")
    notebook = nbformat.read(home / "fig8.ipynb", as_version=4)
    links = ["fig6.ipynb", "methods.ipynb", "../docs/results.md#how", "https://a.org/b", "#here"]
    text = " ".join(f"[x]({link})" for link in links)
    notebook.cells.append(new_markdown_cell(text))
    nbformat.write(notebook, home / "fig8.ipynb")
    execute(["fig8"], "smoke", {}, out, home)
    up = "../../.."
    far = [
        f"{up}/notebooks/fig6.ipynb",
        f"{up}/notebooks/methods.ipynb",
        f"{up}/docs/results.md#how",
    ]
    copied = nbformat.read(out / "fig8.ipynb", as_version=4).cells[-1].source
    assert re.findall(r"\((.*?)\)", copied) == [*far, *links[3:]]
    page = write_page(out / "fig8.ipynb").read_text()
    assert re.findall(r'href="(\S+?)"[^>]*>x<', page) == ["fig6.html", *far[1:], *links[3:]]


def test_a_failure_is_kept_and_told_and_the_others_run(folder, capsys):
    write(folder, "bad", "1 + 1", "raise ValueError('no such thing')", "print('never')")
    write(folder, "dead", "1", "import os; os._exit(3)", "2")
    write(folder, "good", "print('fine', file=__import__('sys').stderr)")
    out = folder / "out"
    with pytest.raises(ReglError, match=r"2 of 3 notebooks failed: bad, dead; .*failed\.ipynb"):
        execute(["bad", "dead", "good"], "smoke", {}, out, folder)
    shown = capsys.readouterr()
    bad, dead = out / "bad.failed.ipynb", out / "dead.failed.ipynb"
    assert f"bad: failed in cell [4]: ValueError: no such thing\n  see {bad}" in shown.err
    assert f"dead: failed: DeadKernelError: Kernel died\n  see {dead}" in shown.err
    assert "fine" in shown.out and "never" not in shown.out
    assert sorted(os.listdir(out)) == ["bad.failed.ipynb", "dead.failed.ipynb", "good.ipynb"]
    assert "no such thing" in bad.read_text()


def test_success_takes_away_the_copy_of_an_earlier_failure(folder):
    write(folder, "mended", "raise ValueError('once')")
    with pytest.raises(ReglError):
        execute(["mended"], "smoke", {}, folder, folder)
    assert (folder / "mended.failed.ipynb").exists()
    write(folder, "mended", "1")
    execute(["mended"], "smoke", {}, folder / "out", folder)
    assert os.listdir(folder / "out") == ["mended.ipynb"]


def test_kernels_of_others_are_not_used(folder, tmp_path, monkeypatch):
    kernel = tmp_path / "jupyter/kernels/python3"
    kernel.mkdir(parents=True)
    kernel.joinpath("kernel.json").write_text(
        json.dumps({"argv": ["/bin/false"], "display_name": "another", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    write(folder, "good", "1")
    execute(["good"], "smoke", {}, folder / "out", folder)


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ('profile = "smoke"', r"\[\['profile'\]\]"),
        ('profile = "smoke"\nchangez = {}', r"\[\['changez', 'profile'\]\]"),
        (PARAMETERS + "\nrounds: int = 3", r"\[\['changes', 'profile', 'rounds'\]\]"),
        (PARAMETERS + "\nprofile = 'desk'", r"\[\['changes', 'profile', 'profile'\]\]"),
    ],
)
def test_a_wrong_parameters_cell_is_an_error_before_anything_runs(folder, parameters, found):
    write(folder, "good", "1")
    write(folder, "odd", "1", parameters=parameters)
    with pytest.raises(ReglError, match=rf"odd\.ipynb: .*{found}"):
        execute(["good", "odd"], "smoke", {}, folder / "out", folder)
    assert not (folder / "out").exists()


def test_no_parameters_cell_and_two_are_errors(folder):
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), folder / "none.ipynb")
    with pytest.raises(ReglError, match="found none"):
        find(["none"], folder)
    twice = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}) for _ in range(2)]
    nbformat.write(new_notebook(cells=twice), folder / "two.ipynb")
    with pytest.raises(ReglError, match="one cell tagged 'parameters'"):
        find(["two"], folder)


def test_a_file_that_is_no_notebook_is_an_error(folder):
    (folder / "text.ipynb").write_text("profile = 1")
    with pytest.raises(ReglError, match="cannot be read as a notebook"):
        find(["text"], folder)


@pytest.mark.parametrize(
    ("names", "profile", "changes", "words"),
    [
        (["goood"], "smoke", {}, r"'goood' is unknown \(did you mean good\?\)"),
        (["good"], "smoky", {}, r"'smoky' is unknown \(did you mean smoke\?\)"),
        (["good"], "smoke", {"training.rounds": 0}, "training.rounds: given 0"),
    ],
)
def test_wrong_arguments_are_errors_before_anything_runs(folder, names, profile, changes, words):
    write(folder, "good", "1")
    with pytest.raises(ReglError, match=words):
        execute(names, profile, changes, folder / "out", folder)
    assert not (folder / "out").exists()


def test_two_run_at_once_and_their_lines_stay_whole(folder, capsys):
    # Each waits for the other in the middle of a line.
    for me, other in ("ab", "ba"):
        write(
            folder,
            me,
            f"""import pathlib, time, sys
here = pathlib.Path({str(folder)!r})
print("{me}1 ", end="", flush=True)
(here / "{me}").touch()
end = time.monotonic() + 100
while not (here / "{other}").exists():
    assert time.monotonic() < end
    time.sleep(0.1)
time.sleep(0.5)
print("{me}2")
print("no end", end="")""",
        )
    execute(["a", "b"], "smoke", {}, folder / "out", folder)
    lines = capsys.readouterr().out.splitlines()
    assert {"a1 a2", "b1 b2"} <= set(lines)
    assert lines.count("no end") == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_it_leaves_neither_a_finished_copy_nor_a_kernel(folder, how):
    started = folder / "started"
    sleep = f"import os, time, pathlib; pathlib.Path({str(started)!r}).write_text(str(os.getpid()))"
    write(folder, "long", f"{sleep}\ntime.sleep(600)")
    # A shell that starts the tests in the background has them ignore SIGINT.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from regl_core.press.execution import execute; from pathlib import Path; import sys\n"
    code += "folder = Path(sys.argv[1]); execute(['long'], 'smoke', {}, folder / 'out', folder)"
    command = [sys.executable, "-c", code, str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (started.exists() and started.read_text()):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(how)
    process.communicate(timeout=300)
    assert process.returncode != 0
    assert not (folder / "out/long.ipynb").exists()
    end = time.monotonic() + 60
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < end:
            os.kill(int(started.read_text()), 0)
            assert how == signal.SIGKILL  # its processes notice by themselves
            time.sleep(0.1)
