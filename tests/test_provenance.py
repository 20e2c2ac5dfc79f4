"""What an artefact says about its making: which commit and settings, in every kind of file."""

import subprocess

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from regl_core.params import ROOT, load
from regl_core.report import commit, digest, save_figure, trace, write_csv

SMOKE = load("smoke")


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "root"
    for name in ("figures/desk", "code"):
        (root / name).mkdir(parents=True)
    (root / "code/a.py").write_text("1")
    (root / ".gitignore").write_text("ignored\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def test_a_changed_file_and_a_new_one_show_what_is_made_or_ignored_does_not(repository):
    clean = commit(repository)
    assert clean == git(repository, "rev-parse", "HEAD")[:10]
    for name in ("figures/desk/table2.csv", "ignored"):
        (repository / name).write_text("2")
        assert commit(repository) == clean
    for name in ("code/a.py", "code/new.py"):
        (repository / name).write_text("2")
        assert commit(repository) == f"{clean}+changes"
        git(repository, "add", ".")
        assert commit(repository) == f"{clean}+changes"
        git(repository, "reset", "-q", "--hard")


def test_without_history_the_commit_is_unknown(tmp_path, repository, monkeypatch):
    assert commit(tmp_path) == "unknown"
    # A copy that lies in somebody else's checkout is not of their commit.
    assert commit(repository / "code") == "unknown"
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    assert commit(tmp_path / "empty") == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(repository) == "unknown"


def test_the_digest_is_that_of_the_settings_alone(tmp_path):
    text = (ROOT / "params/smoke.yaml").read_text()
    (tmp_path / "smoke.yaml").write_text("# a comment\n" + text)
    whole = digest(SMOKE)
    assert len(whole) == 12 and set(whole) <= set("0123456789abcdef")
    assert digest(load("smoke", folder=tmp_path)) == whole
    assert digest(load("smoke", {"training.rounds": SMOKE.training.rounds})) == whole
    assert whole not in (digest(load("smoke", {"training.rounds": 3})), digest(load("desk")))


def test_csv_has_its_columns_then_its_provenance(tmp_path):
    frame = pd.DataFrame({"method": ["FedAvg", "a,b"], "seed": [0, 1], "accuracy_pct": [1.005, 20]})
    write_csv(frame, "fig5", SMOKE, tmp_path)
    made = trace("fig5", SMOKE)
    tail = f'{made.commit},{made.settings},"{made.libraries}"'
    assert (tmp_path / "fig5.csv").read_bytes().decode().split("\n") == [
        "method,seed,accuracy_pct,commit,settings,libraries",
        f"FedAvg,0,{1.005:.2f},{tail}",
        f'"a,b",1,20.00,{tail}',
        "",
    ]
    for form, digits in ((None, "0.0015"), ("%.3f", "0.002")):
        write_csv(pd.DataFrame({"value": [0.0015]}), "choice", SMOKE, tmp_path, float_format=form)
        assert f"\n{digits}," in (tmp_path / "choice.csv").read_text()


@pytest.fixture
def figure():
    figure = Figure(figsize=(2, 1))
    figure.subplots().imshow([[0, 1]])
    return figure


def test_a_picture_holds_its_provenance_and_the_same_is_the_same_bytes(
    tmp_path, figure, monkeypatch
):
    one, two = (
        save_figure(figure, "fig1", SMOKE, tmp_path / folder)
        or {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        for folder in ("one", "two")
    )
    assert one == two and one.keys() == {"fig1.pdf", "fig1.png"}
    made = trace("fig1", SMOKE)
    assert made.libraries.startswith("python 3.")
    assert all(f", {it}" in made.libraries for it in ("torch 2.", "diffusers 0.", "matplotlib 3."))
    with Image.open(tmp_path / "one/fig1.png") as image:
        assert image.text == {key.capitalize(): value for key, value in vars(made).items()}
        assert image.size == (300, 150)
    pdf = one["fig1.pdf"]
    assert f"/Subject ({made.line})".encode() in pdf.replace(b"\\", b"")
    assert b"Date" not in pdf
    draw = figure.savefig

    def full(file, *arguments, **options):
        if options["format"] == "pdf":
            raise OSError("no space left on device")
        draw(file, *arguments, **options)

    monkeypatch.setattr(figure, "savefig", full)
    with pytest.raises(OSError, match="no space"):
        save_figure(figure, "fig1", load("desk"), tmp_path / "two")
    assert {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()} == one
