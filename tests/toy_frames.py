"""Frames of runs as a CSV of a table or figure holds them."""

import pandas as pd

from regl_core.report.claims import judge

NO_PAPER = pd.DataFrame(columns=["dataset", "setting", "method", "accuracy_pct", "std_pct"])


def frame(numbers, dataset="digits"):
    """Accuracies by (setting, method), a list over the seeds 0, 1, 2, …"""
    rows = [
        (dataset, setting, method, seed, float(value))
        for (setting, method), values in numbers.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["dataset", "setting", "method", "seed", "accuracy_pct"])


def judged(artefact, numbers, paper=NO_PAPER):
    return judge(artefact, frame(numbers), paper)
