"""Claims on figures that show other numbers than a method's accuracy: Figs. 4, 6 and 7."""

import math
from collections.abc import Iterator

import pandas as pd

from ..comparison import PLAIN, POINTS, Comparison, Quantity
from ..layout import CELL, RUN
from ..scores import FT, REGL, TF, Scores, by_dataset
from .verdict import WIDE, Claim, Verdict, all_true


def _scores(
    runs: pd.DataFrame, paper: pd.DataFrame, value: str, quantity: Quantity = PLAIN
) -> Iterator[Scores]:
    """One number for each data set, setting, method and seed: the mean of the column `value`."""
    means = runs.groupby(RUN, sort=False, as_index=False)[value].mean()
    return by_dataset(means, paper, value, quantity)


def _separates(runs: pd.DataFrame, paper: pd.DataFrame) -> Iterator[Verdict]:
    """By the silhouette of the classes that a client lacks, mean over clients.

    It is above 0 with FT (an image is nearer to its own class than to the next), below 0 with
    FedAvg, and so higher with FT. That of classes the client owns is told besides.
    """
    lacking = _scores(runs, paper, "silhouette_lacking")
    owned = _scores(runs, paper, "silhouette_owned")
    for scores, others in zip(lacking, owned, strict=True):
        for setting in scores.settings:
            regl, fedavg = (setting, FT), (setting, "FedAvg")
            comparisons = [
                scores.compare(f"silhouette above 0 with {FT}", [regl], []),
                scores.compare("silhouette below 0 with FedAvg", [], [fedavg]),
                scores.compare(f"silhouette higher with {FT} than with FedAvg", [regl], [fedavg]),
            ]
            means = [
                *_means("classes the client lacks", scores, setting, ("FedAvg", FT)),
                *_means("besides, classes it owns", others, setting, ("FedAvg", FT)),
            ]
            yield all_true(14, scores, setting, comparisons, after=means)


def _closer(runs: pd.DataFrame, paper: pd.DataFrame) -> Iterator[Verdict]:
    """The kernel distance of FT's images to the real ones is smaller than that of TF's.

    The Fréchet distance is told besides: it is biased where images are few.
    """
    kernel = _scores(runs, paper, "kernel_distance")
    frechet = _scores(runs, paper, "frechet_distance")
    for scores, others in zip(kernel, frechet, strict=True):
        for setting in scores.settings:
            closer = _smaller("kernel distance", scores, setting)
            after = [
                *_means("kernel distance", scores, setting, (TF, FT)),
                f"besides, {_smaller('Fréchet distance', others, setting).words}",
                *_means("Fréchet distance", others, setting, (TF, FT)),
            ]
            yield all_true(12, scores, setting, [closer], after=after)


def _smaller(distance: str, scores: Scores, setting: str) -> Comparison:
    what = f"{distance} of {FT} smaller than of {TF}"
    return scores.compare(what, [(setting, TF)], [(setting, FT)])


def _means(what: str, scores: Scores, setting: str, methods: tuple[str, ...]) -> list[str]:
    means = {method: scores.mean(setting, method) for method in methods}
    if any(map(math.isnan, means.values())):
        return []
    told = ", ".join(f"{mean:.3g} ({method})" for method, mean in means.items())
    return [f"{what}: mean {told}".replace("-", "−")]


def _local_updates(runs: pd.DataFrame, paper: pd.DataFrame) -> Iterator[Verdict]:
    """What one local update does to the accuracies of classes, FedAvg's and ReGL's apart."""
    yield from _wrecked(runs, paper)
    yield from _raised(runs, paper)


def _wrecked(runs: pd.DataFrame, paper: pd.DataFrame) -> Iterator[Verdict]:
    """FedAvg's takes more than WIDE points from classes that the client has no real image of.

    Mean over all pairs of a client and such a class. What a model does not know it cannot lose:
    the accuracy before is told besides.
    """
    lacking = runs["real"] == 0
    known = runs.assign(before=runs["before_pct"].where(lacking))
    loss = runs.assign(loss=(runs["before_pct"] - runs["after_pct"]).where(lacking))
    pairs = zip(_scores(loss, paper, "loss", POINTS), _scores(known, paper, "before"), strict=True)
    what = f"FedAvg loses more than {WIDE:.0f} points on classes that a client lacks"
    for scores, befores in pairs:
        for setting in scores.settings:
            loses = scores.contrast(what, {(setting, "FedAvg"): 1.0}, WIDE)
            before = befores.mean(setting, "FedAvg")
            after = [] if math.isnan(before) else [f"they are at {before:.1f} % before"]
            yield all_true(13, scores, setting, [loses], after=after, part="FedAvg")


def _raised(runs: pd.DataFrame, paper: pd.DataFrame) -> Iterator[Verdict]:
    """ReGL's raises every class, TF and FT apart.

    The mean change over clients is above 0 in the class in which it is smallest, seed by seed; a
    class that stays where it is is not raised.
    """
    runs = runs.assign(change=runs["after_pct"] - runs["before_pct"])
    classes = runs.groupby([*RUN, "class"], sort=False, as_index=False)["change"].mean()
    least = classes.groupby(RUN, sort=False, as_index=False)["change"].min()
    means = classes.groupby([*CELL, "class"])["change"].mean()
    what = "the class that gains least gains"
    for scores in by_dataset(least, paper, "change", POINTS):
        for setting in scores.settings:
            for method in REGL:
                gains = scores.contrast(what, {(setting, method): 1.0})
                of_it = means[means.index.droplevel("class") == (scores.dataset, setting, method)]
                count = f"{(of_it > 0).sum()} of {len(of_it)} classes gain in the mean over seeds"
                after = [count] if len(of_it) else []
                yield all_true(13, scores, setting, [gains], after=after, part=method)


CLAIMS = (
    Claim(
        12,
        "fig6",
        "ReGL (FT) images lie closer to the real ones than ReGL (TF) images, by the kernel "
        "distance.",
        _closer,
    ),
    Claim(
        13,
        "fig7",
        "A local FedAvg update wrecks the accuracy of classes that the client lacks, by more than "
        f"{WIDE:.0f} points; a ReGL update raises every class, in the mean over clients.",
        _local_updates,
        "At the profile desk, a client's update with ReGL raises classes of which it has real "
        "images and lowers those it only draws, far less than FedAvg's update does: drawn images "
        "are no full substitute for real ones.",
    ),
    Claim(
        14,
        "fig4",
        "ReGL (FT) separates classes that a client lacks, FedAvg does not: their silhouette after "
        "a local update is above 0 with the one, below 0 with the other.",
        _separates,
        "At the profile desk, a single local update of FedAvg does not undo all that the global "
        "model knows of a class: its silhouette stays above 0, but well below ReGL's.",
    ),
)
