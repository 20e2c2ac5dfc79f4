"""Every method, broken on purpose: its own tests must notice. `make test-mutations`.

A file `test_method_<name>.py` lists in MUTATIONS what to break in `regl_core/methods/<name>.py`:
(in words, the text to replace, its replacement). Each is tried in a copy of the sources, with
this file and what `test_methods` asks of every method.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from regl_core.params import ROOT

TESTS = sorted((ROOT / "tests").glob("test_method_*.py"))


def mutations(file: Path) -> tuple[tuple[str, str, str], ...]:
    """The MUTATIONS of a test file, read without running it."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MUTATIONS":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{file.name} has no MUTATIONS")


def method(file: Path) -> Path:
    """The file of the method that a test file is about, relative to the repository."""
    return Path("regl_core/methods", file.name.removeprefix("test_method_"))


CASES = [(file, *mutation) for file in TESTS for mutation in mutations(file)]
NAMES = [f"{file.stem.removeprefix('test_method_')}: {words}" for file, words, *_ in CASES]


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_mutations_fit_the_method(file: Path) -> None:
    source, found = (ROOT / method(file)).read_text(), mutations(file)
    assert len(found) >= 3
    assert len({words for words, *_ in found}) == len(found)
    for words, old, new in found:
        assert source.count(old) == 1, words
        ast.parse(source.replace(old, new))


def outcome(file: Path, source: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The tests of `file` in a copy in `folder`, with `source` in the place of its method."""
    shutil.copytree(
        ROOT / "regl_core", folder / "regl_core", ignore=shutil.ignore_patterns("shipped")
    )
    shutil.copytree(ROOT / "tests", folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / method(file)).write_text(source)
    name = file.stem.removeprefix("test_method_")  # of the file, and of a method in `test_methods`
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            f"tests/{file.name}",
            "tests/test_methods.py",
            "-k",
            name,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTEST_ADDOPTS": "-p no:cacheprovider"},
        capture_output=True,
        text=True,
    )


@pytest.mark.mutation
@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_a_whole_method_passes_in_the_copy(file: Path, tmp_path: Path) -> None:
    done = outcome(file, (ROOT / method(file)).read_text(), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.mutation
@pytest.mark.parametrize(("file", "words", "old", "new"), CASES, ids=NAMES)
def test_a_broken_method_is_noticed(
    file: Path, words: str, old: str, new: str, tmp_path: Path
) -> None:
    source = (ROOT / method(file)).read_text()
    done = outcome(file, source.replace(old, new), tmp_path)
    assert done.returncode == 1, f"{words}: not noticed\n{done.stdout}{done.stderr}"
