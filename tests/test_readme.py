"""README and docs: the worked example of a new method, done as it says; numbers that are made."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from regl_core.params import ROOT
from tools import docs

EXTEND = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
SAY = """
from regl_core import runs
from regl_core.partition import Dirichlet
from regl_core.params import ROOT, load
from regl_core.press.grids import grid_of
from regl_core.engine.store import Store
settings = load("smoke")
grid = [
    runs.Run(dataset="digits", partition=Dirichlet(beta=0.5, clients=3), method=method, seed=0,
             settings=settings)
    for method in ("FedAvg", "{name}")
]
one, other = runs.run_all(grid, Store(ROOT / ".store"), workers=1)
print(one.accuracy, other.accuracy)
assert one.accuracy[0] == other.accuracy[0] and one.accuracy != other.accuracy
for table in ("table2", "table3"):
    rows = {{run.method for run in grid_of(ROOT / f"notebooks/{{table}}.ipynb", "smoke", {{}})}}
    assert "{name}" in rows, rows
"""


def test_a_method_is_one_file_and_one_line(tmp_path):
    example = re.search(
        r"For example `(regl_core/methods/\w+\.py)`:\n\n```python\n(.*?)```", EXTEND, re.S
    )
    path, source = example.groups()
    line = re.search(r"below `methods:` in `params/desk.yaml`, `(.*?)`", EXTEND)[1]
    for folder in ("regl_core", "params", "notebooks", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / path).write_text(source, encoding="utf-8")
    for profile in ("smoke", "desk"):
        settings = tmp_path / f"params/{profile}.yaml"
        text = settings.read_text(encoding="utf-8")
        assert text.count("\nmethods:") == 1
        if f"  {line}\n" not in text:  # it is there for who has followed the example
            text = re.sub(r"(\nmethods:.*\n)", rf"\1  {line}\n", text)
        settings.write_text(text, encoding="utf-8")
    tests = [f"tests/test_{name}.py" for name in ("methods", "params")]
    for command in (
        ["-c", SAY.format(name=line.partition(":")[0])],
        ["-m", "pytest", "-q", *tests],
    ):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", docs.TEXTS, ids=lambda path: path.name)
def test_numbers_are_those_of_the_figures(path):
    text = path.read_text(encoding="utf-8")
    assert docs.filled(text) == text, "run python -m tools.docs"
    assert len(text.splitlines()) <= 150
    named = [name for name in docs.BLOCKS if f"<!-- {name} -->" in text]
    assert text.count("<!-- ") == 2 * len(named)  # a block that nothing fills would stay as it is


@pytest.mark.parametrize("path", docs.TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    made = "figures/desk/notebooks"  # executed copies, in git or made by `make report`
    lost = [link for link in links if not (path.parent / link).exists() and made not in link]
    assert not lost
