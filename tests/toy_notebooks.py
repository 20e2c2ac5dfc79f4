"""Notebooks that tests write: the cell of parameters, a grid or none, and what else they do."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

PARAMETERS = 'profile: str = "smoke"  # which\nchanges: dict = {}  # e.g. {"training.rounds": 3}'
# Stages that take nothing to build.
TOYS = """
from toy_stages import Broken, Draw
class Item:
    def __init__(self, made): self.made = made
    def stage(self, pipeline): return self.made
grid = [Item(it) for it in {stages}]"""
# Runs on each data set.
RUNS = """
from regl_core.params import load
from regl_core.partition import Dirichlet
from regl_core.runs import Run
settings = load(profile, changes)
grid = [
    Run(dataset=name, partition=Dirichlet(beta=0.5, clients=2), method=method, seed=0,
        settings=settings)
    for name in settings.datasets for method in {methods}
]"""


def write(
    folder: Path, name: str, *sources: str, grid: str = "", parameters: str = PARAMETERS
) -> None:
    """The notebook `folder`/<name>.ipynb, with `sources` after its grid."""
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    if grid:
        cells.append(new_code_cell(grid, metadata={"tags": ["grid"]}, id="the-grid"))
    cells += map(new_code_cell, sources)
    nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
