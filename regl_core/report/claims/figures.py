"""Claims on figures that show other numbers than a method's accuracy: Figs. 4, 6 and 7."""

import math
from collections.abc import Iterator
from dataclasses import replace

from ..comparison import FT, REGL, TF, Comparison, Scores
from .judging import WIDE, Verdict, claim


@claim(
    14,
    "fig4",
    "ReGL (FT) separates classes that a client lacks, FedAvg does not: their silhouette after "
    "a local update is above 0 with the one, below 0 with the other.",
)
def separates(scores: Scores) -> Iterator[Verdict]:
    """By the silhouette of the classes that a client lacks, mean over clients.

    It is above 0 with FT (an image is nearer to its own class than to the next), below 0 with
    FedAvg, and so higher with FT. That of classes the client owns is told besides.
    """
    lacking, owned = scores.of("silhouette_lacking"), scores.of("silhouette_owned")
    for setting in lacking.settings:
        regl, fedavg = (setting, FT), (setting, "FedAvg")
        comparisons = [
            lacking.compare(f"silhouette above 0 with {FT}", [regl], []),
            lacking.compare("silhouette below 0 with FedAvg", [], [fedavg]),
            lacking.compare(f"silhouette higher with {FT} than with FedAvg", [regl], [fedavg]),
        ]
        means = [
            *_means("classes the client lacks", lacking, setting, ("FedAvg", FT)),
            *_means("besides, classes it owns", owned, setting, ("FedAvg", FT)),
        ]
        yield Verdict(setting, comparisons, after=means)


@claim(
    12,
    "fig6",
    "ReGL (FT) images lie closer to the real ones than ReGL (TF) images, by the kernel distance.",
)
def closer(scores: Scores) -> Iterator[Verdict]:
    """The kernel distance of FT's images to the real ones is smaller than that of TF's.

    The Fréchet distance is told besides: it is biased where images are few.
    """
    kernel, frechet = scores.of("kernel_distance"), scores.of("frechet_distance")
    for setting in kernel.settings:
        after = [
            *_means("kernel distance", kernel, setting, (TF, FT)),
            f"besides, {_smaller('Fréchet distance', frechet, setting).words}",
            *_means("Fréchet distance", frechet, setting, (TF, FT)),
        ]
        yield Verdict(setting, [_smaller("kernel distance", kernel, setting)], after=after)


def _smaller(distance: str, scores: Scores, setting: str) -> Comparison:
    what = f"{distance} of {FT} smaller than of {TF}"
    return scores.compare(what, [(setting, TF)], [(setting, FT)])


def _means(what: str, scores: Scores, setting: str, methods: tuple[str, ...]) -> list[str]:
    means = {method: scores.mean(setting, method) for method in methods}
    if any(map(math.isnan, means.values())):
        return []
    told = ", ".join(f"{mean:.3g} ({method})" for method, mean in means.items())
    return [f"{what}: mean {told}".replace("-", "−")]


@claim(
    13,
    "fig7",
    "A local FedAvg update wrecks the accuracy of classes that the client lacks, by more than "
    f"{WIDE:.0f} points; a ReGL update raises every class, in the mean over clients.",
)
def local_updates(scores: Scores) -> Iterator[Verdict]:
    """What one local update does to the accuracies of classes, FedAvg's and ReGL's apart."""
    yield from _wrecked(scores)
    yield from _raised(scores)


def _wrecked(scores: Scores) -> Iterator[Verdict]:
    """FedAvg's takes more than WIDE points from classes that the client has no real image of.

    Mean over all pairs of a client and such a class. What a model does not know it cannot lose:
    the accuracy before is told besides.
    """
    rows, lacking = scores.runs, scores.runs["real"] == 0
    loss = scores.of("loss", "points", loss=(rows["before_pct"] - rows["after_pct"]).where(lacking))
    known = scores.of("before", before=rows["before_pct"].where(lacking))
    what = f"FedAvg loses more than {WIDE:.0f} points on classes that a client lacks"
    for setting in loss.settings:
        loses = loss.compare(what, [(setting, "FedAvg")], [], WIDE)
        before = known.mean(setting, "FedAvg")
        after = [] if math.isnan(before) else [f"they are at {before:.1f} % before"]
        yield Verdict(setting, [loses], "FedAvg", after=after)


def _raised(scores: Scores) -> Iterator[Verdict]:
    """ReGL's raises every class, TF and FT apart.

    The mean change over clients is above 0 in the class in which it is smallest, seed by seed; a
    class that stays where it is is not raised.
    """
    change = scores.runs["after_pct"] - scores.runs["before_pct"]
    run = [scores.runs[name] for name in ("setting", "method", "seed")]
    by_class = change.groupby([*run, scores.runs["class"]], sort=False).mean()
    least = by_class.groupby(level=[0, 1, 2], sort=False).min().rename("least").reset_index()
    means = by_class.groupby(level=["setting", "method", "class"]).mean()
    gains = replace(scores, runs=least, value="least")
    for setting in gains.settings:
        for method in REGL:
            gain = gains.compare("the class that gains least gains", [(setting, method)], [])
            own = means[means.index.droplevel("class") == (setting, method)]
            count = f"{(own > 0).sum()} of {len(own)} classes gain in the mean over seeds"
            yield Verdict(setting, [gain], method, after=[count] if len(own) else [])
