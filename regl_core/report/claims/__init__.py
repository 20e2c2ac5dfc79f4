"""The paper's claims, put to the test on our runs, with the verdict in words.

To add a claim, write the function that gives what it says of some runs, marked with `claim`.
What a claim means exactly stands there; no threshold depends on results.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...params import Settings
from ..comparison import Scores
from ..tables import beside
from . import ablations, figures, tables
from .judging import Claim, Verdict

if TYPE_CHECKING:
    import pandas as pd

NONE = "settings that were not run"
FOUND = (it for room in (tables, ablations, figures) for it in vars(room).values())
CLAIMS = sorted((it for it in FOUND if isinstance(it, Claim)), key=lambda claim: claim.number)


def judge(artefact: str, runs: pd.DataFrame, settings: Settings) -> list[Verdict]:
    """What the CSV `runs` of a table or figure says about the paper's claims on it.

    In the order of CLAIMS. Each claim gets at least one verdict for each data set in `runs`, if
    only to say that it cannot be judged. None for an artefact that no claim is about.
    """
    # The paper's figures come without numbers to set beside.
    table = artefact.startswith("table")
    paper = beside(int(artefact[-1]) if table else 1, settings)
    found = []
    for claim in (it for it in CLAIMS if it.artefact == artefact):
        for dataset, own in runs.groupby("dataset", sort=False):
            scores = Scores(dataset, own, paper[table & (paper["dataset"] == dataset)])
            verdicts = list(claim.verdicts(scores)) or [Verdict("", needs=NONE)]
            found += [replace(it, claim=claim.number, dataset=dataset) for it in verdicts]
    return found


def verdicts(artefact: str, runs: pd.DataFrame, settings: Settings) -> str:
    """As `judge`, in words, as Markdown: below the text of each claim its verdicts."""
    lines, found = [], judge(artefact, runs, settings)
    for claim in CLAIMS:
        if own := [verdict for verdict in found if verdict.claim == claim.number]:
            lines += [f"**Claim {claim.number}.** {claim.text}", ""]
            for it in own:
                lines.append(f"- {it.where}: **{it.verdict}**{it.reason}.")
                lines += [f"    - {sentence}" for sentence in it.evidence]
            lines.append("")
    return "\n".join(lines)


def undecided(folder: Path, artefacts: Collection[str]) -> list[str]:
    """Of the verdicts in `folder`/claims.csv on `artefacts` those that are open, a line each.

    With how many seeds would decide. The line ahead of them says so; nothing where none is open.
    """
    if not (file := folder / "claims.csv").exists():
        return []
    with file.open(encoding="utf-8", newline="") as text:
        rows = [it for it in csv.DictReader(text) if it["artefact"] in artefacts]
    found = [
        f"  claim {it['claim']}: {it['evidence'].partition(': ')[0]}"
        for it in rows
        if it["verdict"] == "not decided"
    ]
    return [f"\nnot decided by the results in {folder.name}:", *found] if found else []


def claims_frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """The verdicts as rows of ``claims.csv``, in the order given.

    Returns
    -------
    DataFrame with the columns ``claim`` (int, number), ``artefact``, ``verdict`` (an
    `Outcome`), ``evidence`` (where, in brackets why nothing is decided, and sentences joined by
    "; ") and ``seeds`` (int, the fewest behind any comparison that decides).
    """
    import pandas as pd

    claims, rows = {claim.number: claim for claim in CLAIMS}, []
    for it in verdicts:
        claim = claims[it.claim]
        evidence = f"{it.where}{it.reason}: {'; '.join(it.evidence)}"
        rows.append((claim.number, claim.artefact, it.verdict, evidence, it.seeds))
    return pd.DataFrame(rows, columns=["claim", "artefact", "verdict", "evidence", "seeds"])
