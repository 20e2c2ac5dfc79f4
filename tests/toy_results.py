"""Results as if they had been computed, and settings as far as a report reads them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from regl_core.partition import Dirichlet, Pooled
from regl_core.report import judge

SKEWED = (Dirichlet(beta=0.01, clients=5), Dirichlet(beta=0.5, clients=5))
METHODS = ("Centralized", "FedAvg", "ReGL (TF)", "ReGL (FT)")
SPREAD = (-1.0, 0.0, 1.0)  # points, of the seeds around their mean


def settings(**counterparts):
    """Settings as far as a report reads them; each data set with whose numbers stand beside it."""
    return SimpleNamespace(
        profile="desk",
        training=SimpleNamespace(report_rounds=3),
        datasets={name: SimpleNamespace(published=paper) for name, paper in counterparts.items()},
    )


DIGITS = settings(digits="imagefruit")


def result(method, partition, seed, accuracy, dataset="digits"):
    run = SimpleNamespace(dataset=dataset, partition=partition, method=method, seed=seed)
    curve = (accuracy / 2, accuracy - 1, accuracy, accuracy + 1)
    measure = "test accuracy in %, mean of the last 3 rounds"
    return SimpleNamespace(run=run, accuracy=curve, accuracy_pct=accuracy, measure=measure)


def results(means, partitions=SKEWED, dataset="digits", spread=SPREAD):
    """Results with the given mean of each method, one number or one per partition."""
    made = []
    for method, mean in means.items():
        where = [Pooled()] if method == "Centralized" else partitions
        for partition, level in zip(where, np.broadcast_to(mean, len(where)), strict=True):
            made += [
                result(method, partition, seed, float(level) + shift, dataset)
                for seed, shift in enumerate(spread)
            ]
    return made


# A seed is good or bad for all methods alike, but for FT twice as much.
PAPERLIKE = results({"Centralized": 90, "FedAvg": (30, 50), "ReGL (TF)": (70, 72)}) + results(
    {"ReGL (FT)": (87, 89)}, spread=(-2.0, 0.0, 2.0)
)

NOWHERE = settings(digits=None, mine=None)
NO_PAPER = pd.DataFrame(columns=["dataset", "setting", "method", "accuracy_pct", "std_pct"])


def frame(numbers, dataset="digits"):
    """Rows as a CSV holds them: accuracies by (setting, method), a list over the seeds 0, 1, …"""
    rows = [
        (dataset, setting, method, seed, float(value))
        for (setting, method), values in numbers.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["dataset", "setting", "method", "seed", "accuracy_pct"])


def judged(artefact, numbers):
    """The verdicts on `frame`'s rows, without published numbers beside them."""
    return judge(artefact, frame(numbers), NOWHERE)


def outcome(verdict):
    """What is decided, and in brackets why nothing is."""
    return f"{verdict.verdict}{verdict.reason}"
