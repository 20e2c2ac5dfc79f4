"""The paper's claims, put to the test on our runs, with the verdict in words.

To add a claim, write the function that states it of some runs and list it in CLAIMS of its file.
What a claim means exactly stands there; no threshold depends on results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ...paper import published
from ...params import Settings
from ..scores import Scores
from ..tables import beside
from .ablations import CLAIMS as ABLATIONS
from .figures import CLAIMS as FIGURES
from .judging import Claim, Statement, Verdict, judged
from .tables import CLAIMS as TABLES

if TYPE_CHECKING:
    import pandas as pd

CLAIMS = tuple(sorted((*TABLES, *ABLATIONS, *FIGURES), key=lambda claim: claim.number))


def judge(artefact: str, runs: pd.DataFrame, settings: Settings) -> list[Verdict]:
    """What the CSV `runs` of a table or figure says about the paper's claims on it.

    In the order of CLAIMS. Each claim gets at least one verdict for each data set in `runs`, if
    only to say that it cannot be judged. None for an artefact that no claim is about.
    """
    # The paper's figures come without numbers to set beside.
    table = artefact.startswith("table")
    paper = beside(int(artefact[-1]), settings) if table else published(1)[:0]
    return judge_beside(artefact, runs, paper)


def verdicts(artefact: str, runs: pd.DataFrame, settings: Settings) -> str:
    """As `judge`, in words, as Markdown."""
    return in_words(judge(artefact, runs, settings))


def judge_beside(artefact: str, runs: pd.DataFrame, paper: pd.DataFrame) -> list[Verdict]:
    """As `judge`, with published numbers as for `layout.arrange`."""
    claims = [claim for claim in CLAIMS if claim.artefact == artefact]
    return [verdict for claim in claims for verdict in _verdicts(claim, runs, paper)]


def _verdicts(claim: Claim, runs: pd.DataFrame, paper: pd.DataFrame) -> Iterator[Verdict]:
    nothing = Statement("", needs="settings that were not run")
    for dataset, own in runs.groupby("dataset", sort=False):
        scores = Scores(dataset, own, paper[paper["dataset"] == dataset])
        for statement in list(claim.statements(scores)) or [nothing]:
            yield judged(claim.number, dataset, statement)


def in_words(verdicts: Iterable[Verdict]) -> str:
    """The verdicts as Markdown, below the text of their claims."""
    verdicts = list(verdicts)
    lines = []
    for claim in CLAIMS:
        if own := [verdict for verdict in verdicts if verdict.claim == claim.number]:
            lines += [f"**Claim {claim.number}.** {claim.text}", "", *map(_item, own), ""]
            if why := _why(claim, own):
                lines += [why, ""]
    return "\n".join(lines)


def claims_frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """The verdicts as rows of ``claims.csv``, in the order given.

    Returns
    -------
    DataFrame with the columns ``claim`` (int, number), ``artefact``, ``verdict`` ("holds", "does
    not hold" or "not decided"), ``evidence`` (where, in brackets why nothing is decided, and
    sentences joined by "; ") and ``seeds`` (int, the fewest behind any comparison that decides).
    """
    import pandas as pd

    claims = {claim.number: claim for claim in CLAIMS}
    rows = []
    for it in verdicts:
        claim = claims[it.claim]
        sentences = "; ".join(filter(None, [*it.evidence, _why(claim, [it])]))
        evidence = f"{it.where}{it.outcome.removeprefix(it.verdict)}: {sentences}"
        rows.append((claim.number, claim.artefact, it.verdict, evidence, it.seeds))
    return pd.DataFrame(rows, columns=["claim", "artefact", "verdict", "evidence", "seeds"])


def _item(verdict: Verdict) -> str:
    outcome, *reason = verdict.outcome.partition(" (")
    evidence = [f"    - {sentence}" for sentence in verdict.evidence]
    return "\n".join([f"- {verdict.where}: **{outcome}**{''.join(reason)}.", *evidence])


def _why(claim: Claim, verdicts: list[Verdict]) -> str:
    holds = all(verdict.verdict == "holds" for verdict in verdicts)
    return f"Why: {claim.remark}" if claim.remark and not holds else ""
