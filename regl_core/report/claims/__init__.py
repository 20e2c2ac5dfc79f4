"""The paper's claims, put to the test on our runs, with the verdict in words.

To add a claim, write the function that judges it and list it in CLAIMS of its file. What a claim
means exactly stands there; no threshold depends on results.
"""

from collections.abc import Iterable, Iterator

import pandas as pd

from .ablations import CLAIMS as ABLATIONS
from .figures import CLAIMS as FIGURES
from .tables import CLAIMS as TABLES
from .verdict import Claim, Verdict, missing

__all__ = ["CLAIMS", "Claim", "Verdict", "frame", "in_words", "judge"]

CLAIMS = tuple(sorted((*TABLES, *ABLATIONS, *FIGURES), key=lambda claim: claim.number))
COLUMNS = ["claim", "artefact", "verdict", "evidence", "seeds"]


def judge(artefact: str, runs: pd.DataFrame, paper: pd.DataFrame) -> list[Verdict]:
    """Verdicts on the claims about `artefact`, in the order of CLAIMS; frames as for Claim.

    Each claim gets at least one for each data set in `runs`, if only to say that it cannot be
    judged. None for an artefact that no claim is about.
    """
    claims = [claim for claim in CLAIMS if claim.artefact == artefact]
    return [verdict for claim in claims for verdict in _judged(claim, runs, paper)]


def _judged(claim: Claim, runs: pd.DataFrame, paper: pd.DataFrame) -> Iterator[Verdict]:
    found = list(claim.judge(runs, paper))
    for dataset in dict.fromkeys(runs["dataset"]):
        own = [verdict for verdict in found if verdict.dataset == dataset]
        yield from own or [missing(claim.number, dataset, "", "settings that were not run")]


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


def frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """The verdicts as rows of ``claims.csv``, in the order given.

    Returns
    -------
    DataFrame with the columns ``claim`` (int, number), ``artefact``, ``verdict`` ("holds", "does
    not hold" or "not decided"), ``evidence`` (where, in brackets why nothing is decided, and
    sentences joined by "; ") and ``seeds`` (int, the fewest behind any comparison that decides).
    """
    claims = {claim.number: claim for claim in CLAIMS}
    rows = []
    for verdict in verdicts:
        claim = claims[verdict.claim]
        sentences = filter(None, [*verdict.evidence, _why(claim, [verdict])])
        reason = verdict.outcome.removeprefix(verdict.verdict)
        evidence = f"{verdict.where}{reason}: {'; '.join(sentences)}"
        rows.append((claim.number, claim.artefact, verdict.verdict, evidence, verdict.seeds))
    return pd.DataFrame(rows, columns=COLUMNS)


def _item(verdict: Verdict) -> str:
    outcome, *reason = verdict.outcome.partition(" (")
    evidence = [f"    - {sentence}" for sentence in verdict.evidence]
    return "\n".join([f"- {verdict.where}: **{outcome}**{''.join(reason)}.", *evidence])


def _why(claim: Claim, verdicts: list[Verdict]) -> str:
    holds = all(verdict.verdict == "holds" for verdict in verdicts)
    return f"Why: {claim.remark}" if claim.remark and not holds else ""
