"""What a reader wants to know first: the methods that the paper is about, and one sentence."""

from __future__ import annotations

from .comparison import CONTROLS, FT, TF
from .formats import Cell, TableLayout
from .rows import spoken

REFERENCES = CENTRALIZED, FEDAVG = "Centralized", "FedAvg"


def leading(layout: TableLayout, dataset: str, setting: str) -> dict[str, tuple[str, Cell]]:
    """What the table has of the five rows that the paper is about: method and cell, by their role.

    Of the other baselines the best of ours stands for all.
    """
    cells = {it: layout.cell(dataset, setting, it) for it in layout.methods}
    cells = {method: cell for method, cell in cells.items() if cell and cell.mean == cell.mean}
    roles = {it: it for it in (*REFERENCES, "", TF, FT)}
    if others := cells.keys() - {*REFERENCES, FT, TF, *CONTROLS}:
        roles[""] = max(sorted(others), key=lambda it: cells[it].mean)
    return {role: (name, cells[name]) for role, name in roles.items() if name in cells}


def sentence(layout: TableLayout, dataset: str, setting: str) -> str:
    """What came out for a column; empty where one of the methods is missing."""
    found = {role: cell.mean for role, (_, cell) in leading(layout, dataset, setting).items()}
    if not {*REFERENCES, FT, TF} <= found.keys():
        return ""
    return (
        f"On {dataset}, {spoken(setting)}, FedAvg reaches {found[FEDAVG]:.1f} %. With generated "
        f"images it reaches {found[TF]:.1f} % (TF, the text-to-image model as it is) and "
        f"{found[FT]:.1f} % (FT, tuned first), and one model trained on all real images "
        f"{found[CENTRALIZED]:.1f} %."
    )
