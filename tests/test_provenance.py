"""What an artefact says about its making."""

import subprocess

import pytest

from regl_core.params import ROOT, load
from regl_core.report import provenance
from regl_core.report.provenance import commit, digest, trace


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


def test_a_clean_tree_is_its_commit(repository):
    assert commit(repository) == git(repository, "rev-parse", "HEAD")[:10]


@pytest.mark.parametrize("name", ["code/a.py", "code/new.py"])
def test_a_changed_file_and_a_new_one_show(repository, name):
    clean = commit(repository)
    (repository / name).write_text("2")
    assert commit(repository) == f"{clean}+changes"
    git(repository, "add", ".")
    assert commit(repository) == f"{clean}+changes"


@pytest.mark.parametrize("name", ["figures/desk/table2.csv", "ignored"])
def test_what_is_made_or_ignored_is_no_change(repository, name):
    clean = commit(repository)
    (repository / name).write_text("2")
    assert commit(repository) == clean


def test_without_history_the_commit_is_unknown(tmp_path, repository, monkeypatch):
    assert commit(tmp_path) == "unknown"
    # A copy that lies in somebody else's checkout is not of their commit.
    assert commit(repository / "code") == "unknown"
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert commit(empty) == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(repository) == "unknown"


def test_a_hook_of_another_repository_does_not_mislead(repository, tmp_path, monkeypatch):
    here = commit(repository)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert commit(repository) == here


def test_the_digest_is_that_of_the_settings_alone(tmp_path):
    text = (ROOT / "params/smoke.yaml").read_text()
    (tmp_path / "smoke.yaml").write_text("# a comment\n" + text)
    whole = digest(load("smoke"))
    assert len(whole) == 12 and set(whole) <= set("0123456789abcdef")
    assert digest(load("smoke", folder=tmp_path)) == whole
    assert digest(load("smoke", {"training.rounds": 3})) != whole
    assert digest(load("desk")) != whole
    rounds = load("smoke").training.rounds
    assert digest(load("smoke", {"training.rounds": rounds})) == whole


def test_trace_tells_all_four():
    made = trace("table2", load("smoke"))
    assert made == provenance.Provenance(
        "table2", commit(), digest(load("smoke")), provenance.libraries()
    )
    assert made.libraries.startswith("python 3.")
    for name in ("torch 2.", "diffusers 0.", "matplotlib 3."):
        assert f", {name}" in made.libraries
    for part in vars(made).values():
        assert part in made.line
