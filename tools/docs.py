"""The numbers and the picture of README.md and docs/, from what lies in figures/desk.

    python -m tools.docs    # after `make report`

A text holds ``<!-- name -->`` and ``<!-- /name -->`` on lines of their own, and between them what
the function of that name in BLOCKS gives. A test compares.
"""

import math
import re
from collections.abc import Callable, Mapping

import pandas as pd
import torch
from matplotlib.figure import Figure

from regl_core import datasets
from regl_core.params import ROOT, load
from regl_core.partition import Dirichlet
from regl_core.privacy import findings
from regl_core.report import (
    CLAIMS,
    FT,
    TF,
    ClientImagesRun,
    marked_classes,
    method_styles,
    panels,
)
from regl_core.report.drawing.image_grids import mosaic
from regl_core.report.formats import Cell
from regl_core.report.page import MARKS
from regl_core.report.story import REFERENCES, leading
from regl_core.report.tables import laid_out
from regl_core.runs import run_all

DESK = ROOT / "figures" / "desk"
TEXTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PICTURE = ROOT / "docs" / "overview.png"
SETTINGS = {"beta=0.01": "β = 0.01", "beta=0.5": "β = 0.5", "single_label": "one class per client"}
WHERE = r"digits, (.*?)(?: \((?:within|too few|runs missing)[^)]*\))?: "  # in claims.csv


def columns() -> dict[str, dict[str, tuple[str, Cell]]]:
    """Of each setting in SETTINGS the rows that the paper is about (`story.leading`)."""
    settings, found = load("desk"), {}
    for number, own in ((2, ("beta=0.01", "beta=0.5")), (3, ("single_label",))):
        layout = laid_out(number, pd.read_csv(DESK / f"table{number}.csv"), settings)
        found |= {setting: leading(layout, "digits", setting) for setting in own}
    return found


def headline() -> str:
    """The five rows that the paper is about, ours and in brackets the paper's on ImageFruit."""

    def told(role: str, method: str, its: Cell) -> str:
        paper = "–" if math.isnan(its.paper_mean) else f"{its.paper_mean:.1f}"
        return f"{'' if role else f'{method}: '}{its.mean:.1f} ± {its.std:.1f} ({paper})"

    table = pd.DataFrame(
        {
            SETTINGS[setting]: {
                role or "best of the other baselines": told(role, *own)
                for role, own in found.items()
            }
            for setting, found in columns().items()
        }
    )
    return table.to_markdown(colalign=["left", *["right"] * len(SETTINGS)])


def gaps() -> str:
    """How much of what label skew costs FedAvg each kind of ReGL wins back."""
    lines = []
    for setting, found in columns().items():
        words = SETTINGS[setting]
        centralized, fedavg, tf, ft = (found[it][1].mean for it in (*REFERENCES, TF, FT))
        gap = centralized - fedavg
        lines.append(
            f"- {words}: FedAvg is {gap:.1f} points below Centralized. TF wins back "
            f"{(tf - fedavg) / gap:.0%} of that, FT {(ft - fedavg) / gap:.0%}. "
            f"FT − TF is {ft - tf:+.1f} points."
        )
    return "\n".join(lines).replace("%", " %").replace("is -", "is −")


def counts() -> str:
    """How many verdicts there are of each kind."""
    rows = pd.read_csv(DESK / "claims.csv")
    kinds = rows["verdict"].value_counts()
    hold, fail, same, open_ = (kinds.get(kind, 0) for kind in MARKS)
    return (
        f"{rows['claim'].nunique()} claims, {len(rows)} verdicts: {hold} hold, {fail} do not hold, "
        f"{same} find no difference, {open_} are not decided."
    )


def main() -> str:
    """What became of the paper's main claim."""
    rows = pd.read_csv(DESK / "claims.csv").query("claim == 2")
    told = [
        f"{verdict} at {re.search('β = [0-9.]+', text)[0]}".rstrip(".")
        for verdict, text in zip(rows["verdict"], rows["evidence"], strict=True)
    ]
    return f"The main claim, FT above TF above every baseline (2): {', '.join(told)}. {counts()}"


def chips() -> str:
    """Each claim, and a sign for each of its verdicts."""
    rows = pd.read_csv(DESK / "claims.csv").groupby("claim")["verdict"]
    signs = {number: " ".join(MARKS[it] for it in own) for number, own in rows}
    return _table({it.number: signs.get(it.number, "") for it in CLAIMS})


def _table(here: Mapping[int, str]) -> str:
    """What each claim says, and beside it what there is `here`, by its number."""
    lines = [f"| {it.number} | {it.text} | {here[it.number]} |" for it in CLAIMS]
    return "\n".join(["| | the paper says | here |", "|---:|---|---|", *lines])


def claims() -> str:
    """Each claim with its verdicts."""
    found = {}
    for number, own in pd.read_csv(DESK / "claims.csv").groupby("claim"):
        wheres = [re.match(WHERE, text) for text in own["evidence"]]
        told = [f" ({where[1]})" * (len(own) > 1) for where in wheres]
        pairs = zip(own["verdict"], told, strict=True)
        found[number] = "; ".join(f"**{MARKS[it]} {it}**{where}" for it, where in pairs)
    return _table(found)


def privacy() -> str:
    """What images, adapters and weights give away."""
    rows = pd.read_csv(DESK / "privacy.csv")
    tables = {
        "How much more than nothing is given away (of an AUC nothing is 0.5, of a share of the "
        "images that of the untuned model's), and for how many clients more and less:": (
            findings.given_away
        ),
        "What turns it up or down, where something is given away:": findings.trials,
        "AUC of the weights sent less that of the adapter:": findings.weights_or_adapter,
    }
    found = {words: table(rows, "as in params").reset_index() for words, table in tables.items()}
    return "\n\n".join(f"{it}\n\n{own.to_markdown(index=False)}" for it, own in found.items())


BLOCKS: Mapping[str, Callable[[], str]] = {
    its.__name__: its for its in (headline, gaps, counts, main, chips, claims, privacy)
}


def filled(text: str) -> str:
    """`text` with each block as figures/desk has it now."""
    for name, block in BLOCKS.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        if marked.search(text):
            text = marked.sub(rf"\g<1>{block()}\n\g<2>", text)
    return text


def picture() -> Figure:
    """One client's images, what it generates of all classes, and what comes of it (Table 2).

    The images are those of Table 2's first seed, so they lie in the store after `make report`.
    """
    settings, client = load("desk"), 2
    cell = {"dataset": "digits", "seed": settings.seeds[0], "settings": settings, "client": client}
    cell["partition"] = Dirichlet(beta=0.01, clients=settings.datasets["digits"].clients)
    runs = [ClientImagesRun(**cell, method=method) for method in (TF, FT)]
    tf, ft = run_all(runs)
    names = marked_classes(runs[1])
    real = datasets.load("digits", settings.datasets["digits"]).train.by_class(8)
    own = torch.full_like(real, 255)  # white where the client has none
    for k, name in enumerate(names):
        if not name.endswith("*"):
            own[k] = real[k]
    shown = {"one client owns": own, "TF: it generates": tf, "FT: tuned first": ft}
    figure, grid = panels(4, 10.5, 3.1, gridspec_kw={"width_ratios": (1, 1, 1, 1.5)})
    for axes, (title, images) in zip(grid[:3], shown.items(), strict=True):
        mosaic(axes, title, images, 8, names if axes is grid[0] else ())
    runs = pd.read_csv(DESK / "table2.csv").query("setting in ('beta=0.01', 'all')")
    for method, style in method_styles([FT, TF, "FedAvg", "Centralized"]).items():
        own = runs.query("method == @method")["accuracy_pct"]
        name = "all images\nin one place" if method == "Centralized" else method
        grid[3].barh(name, own.mean(), color=style["color"], alpha=0.7)
        grid[3].plot(own, [name] * len(own), "o", color="k", markersize=3)
    grid[3].set(xlabel="test accuracy, %, β = 0.01 (dots: seeds)", xlim=(0, 100))
    grid[3].spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    for path in TEXTS:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    picture().savefig(PICTURE, dpi=150, bbox_inches="tight")
