"""Claims on what accuracy does as one thing varies: Tables 1 and 5 to 7, Fig. 5."""

import math
from collections.abc import Iterator

from ..comparison import FT, REGL, Scores
from ..rows import spoken
from .judging import FEW, WIDE, Verdict, claim, rises, value_of

TASKS = "FedAvg (generalization)", "FedAvg (personalization)"
IID, SKEWED = "iid", "beta=0.01"  # the two ends of the paper's Table 5
EPOCHS = 5  # local epochs in all other tables; App. B


@claim(
    1,
    "table1",
    "Both accuracies rise with the share of global data: their slope over the shares is above "
    "0, and the largest share beats the smallest.",
)
def rises_with_share(scores: Scores) -> Iterator[Verdict]:
    """Of each task, as in `rises`, over shares in units of 10 %."""
    for shares in scores.along("global_share").values():
        levels = {share / 10: setting for share, setting in shares.items()}
        for task in TASKS:
            yield rises(scores, task, levels, "per 10 % of global data")


@claim(
    8,
    "fig5",
    "Accuracy rises with the number of synthetic images: its slope over doublings is above 0, "
    "and the largest number beats the smallest.",
)
def rises_with_images(scores: Scores) -> Iterator[Verdict]:
    """Of TF and of FT, as in `rises`, over log2 of the images per class and client.

    No images at all is FedAvg, and told besides.
    """
    for volumes in scores.along("images").values():
        levels = {math.log2(n): setting for n, setting in volumes.items() if n > 0}
        for method in REGL:
            if not levels:
                yield Verdict(volumes[0], part=method, needs="runs with images")
                continue
            none = scores.mean(volumes[0], method) if 0 in volumes else math.nan
            besides = [] if math.isnan(none) else [f"besides, {none:.1f} % without any"]
            yield rises(scores, method, levels, "per doubling", besides)


@claim(
    9,
    "table5",
    "ReGL (FT) leads at every β and under IID; its fall from IID to β = 0.01 is small, less "
    f"than {FEW:.0f} points, and the baselines' large, more than {WIDE:.0f}.",
)
def robust_to_skew(scores: Scores) -> Iterator[Verdict]:
    """FT is above every baseline, at each β and under IID; the rest as in `_falls`."""
    for setting in [*scores.betas, *(s for s in scores.settings if s == IID)]:
        leads, coverage = scores.leads(setting, FT), scores.coverage(setting)
        yield Verdict(setting, leads, "FT leads", before=coverage)
    if {IID, SKEWED} <= set(scores.settings):
        yield from _falls(scores, IID, SKEWED, f"{IID} to {SKEWED}")
    else:
        needs = f"runs in both {IID} and {spoken(SKEWED)}"
        yield Verdict("", part="falls of accuracy", needs=needs)


@claim(
    11,
    "table7",
    f"More clients ruin the baselines, which fall by more than {WIDE:.0f} points, and hardly "
    f"ReGL (FT), which falls by less than {FEW:.0f}.",
)
def robust_to_clients(scores: Scores) -> Iterator[Verdict]:
    """As in `_falls`, from the fewest clients run to the most."""
    for counts in scores.along("clients").values():
        few, *others = counts.values()
        if others:
            yield from _falls(scores, few, others[-1], f"{few} to {value_of(others[-1])}")
        else:
            yield Verdict(few, part="falls of accuracy", needs="two or more numbers of clients")


def _falls(scores: Scores, start: str, end: str, span: str) -> Iterator[Verdict]:
    """Three parts, on how far accuracy falls from setting `start` to `end`.

    That of every baseline by more than WIDE points, every baseline's by more than FT's, and FT's
    by less than FEW points.
    """
    others, coverage = scores.baselines(start, end), scores.coverage(start, end)
    wide, few = f"more than {WIDE:.0f} points", f"less than {FEW:.0f} points"
    far = [
        scores.compare(f"{it} falls by {wide}", [(start, it)], [(end, it)], WIDE) for it in others
    ]
    farther = [
        scores.lead_falls(f"{it} falls farther than {FT}", it, FT, start, end) for it in others
    ]
    hardly = scores.compare(f"{FT} falls by {few}", [(end, FT)], [(start, FT)], -FEW)
    yield Verdict(span, far, "baselines fall far", before=coverage)
    yield Verdict(span, farther, "FT falls least", before=coverage)
    yield Verdict(span, [hardly], "FT hardly falls")


@claim(
    10,
    "table6",
    "One local epoch is too few for every method; ReGL (FT) leads at each number of epochs; "
    f"more than {EPOCHS} bring little, less than {FEW:.0f} points.",
)
def enough_epochs(scores: Scores) -> Iterator[Verdict]:
    """Three parts at each β, on the numbers of local epochs run.

    Every method is better after EPOCHS than after one; FT is above every baseline at each number;
    no method gains FEW points or more from EPOCHS to any larger number.
    """
    for rest, levels in scores.along("local_epochs").items():
        settings, usual = levels.values(), levels.get(EPOCHS)
        others, coverage = scores.baselines(*settings), scores.coverage(*settings)
        parts = {
            "one local epoch is too few": [
                scores.compare(f"{it} at {EPOCHS} > at 1", [(usual, it)], [(levels[1], it)])
                for it in (FT, *others)
                if {1, EPOCHS} <= levels.keys()
            ],
            "FT leads at each number of local epochs": [
                scores.compare(f"{FT} > {other} at {n:g}", [(setting, FT)], [(setting, other)])
                for n, setting in levels.items()
                for other in others
            ],
            f"more than {EPOCHS} local epochs bring little": [
                scores.compare(
                    f"{it} at {EPOCHS} less than {FEW:.0f} points below that at {n:g}",
                    [(usual, it)],
                    [(setting, it)],
                    -FEW,
                )
                for it in (FT, *others)
                for n, setting in levels.items()
                if n > EPOCHS and usual
            ],
        }
        needs = f"runs with {EPOCHS} local epochs, with fewer or with more"
        for part, comparisons in parts.items():
            yield Verdict(rest, comparisons, part, coverage if comparisons else (), needs=needs)
