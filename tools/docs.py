"""The numbers and the picture of README.md and docs/, from what lies in figures/desk.

    python -m tools.docs    # after `make report`

A text holds ``<!-- name -->`` and ``<!-- /name -->`` on lines of their own, and between them what
the function of that name in BLOCKS gives. A test compares.
"""

import re
from collections.abc import Callable, Mapping

import pandas as pd
import torch
from matplotlib.figure import Figure

from regl_core import datasets
from regl_core.paper import published
from regl_core.params import ROOT, load
from regl_core.partition import Dirichlet
from regl_core.privacy import findings
from regl_core.report import CLAIMS, FT, TF, ClientImagesRun, marked_classes, panels
from regl_core.report.drawing.image_grids import mosaic
from regl_core.runs import run_all

DESK = ROOT / "figures" / "desk"
TEXTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PICTURE = ROOT / "docs" / "overview.png"
SETTINGS = {"beta=0.01": "β = 0.01", "beta=0.5": "β = 0.5", "single_label": "one class per client"}
CHIPS = {"holds": "✔ holds", "does not hold": "✘ does not hold", "not decided": "? not decided"}
WHERE = r"digits, (.*?)(?: \((?:within|too few|runs missing)[^)]*\))?: "  # in claims.csv
REFERENCES = ("Centralized", "FedAvg")


def accuracies() -> pd.DataFrame:
    """Tables 2 and 3: a row per method, a column per setting and seed, in %."""
    rows = pd.concat([pd.read_csv(DESK / f"table{number}.csv") for number in (2, 3)])
    pooled = rows[rows["setting"] == "all"].drop_duplicates(["method", "seed"])
    rows = pd.concat(
        [rows[rows["setting"] != "all"], *(pooled.assign(setting=s) for s in SETTINGS)]
    )
    return rows.pivot_table("accuracy_pct", "method", ["setting", "seed"], sort=False)[
        list(SETTINGS)
    ]


def headline() -> str:
    """The five rows that the paper is about, ours and in brackets the paper's on ImageFruit."""
    ours = accuracies()
    theirs = pd.concat([published(2), published(3)]).query("dataset == 'imagefruit'")
    theirs = theirs.pivot_table("accuracy_pct", "method", "setting")
    if "all" in theirs:  # Centralized, of which Table 3 has none
        for setting in ("beta=0.01", "beta=0.5"):
            theirs[setting] = theirs[setting].fillna(theirs["all"])

    def cell(method: str, setting: str) -> str:
        its, paper = ours.loc[method, setting], theirs[setting].get(method)
        beside = "–" if pd.isna(paper) else f"{paper:.1f}"
        return f"{its.mean():.1f} ± {its.std():.1f} ({beside})"

    others = ours.index.difference([*REFERENCES, FT, TF], sort=False)
    best = {s: ours[s].loc[others].mean(axis=1).idxmax() for s in SETTINGS}
    rows = {method: [cell(method, s) for s in SETTINGS] for method in REFERENCES}
    rows["best of the other baselines"] = [f"{best[s]}: {cell(best[s], s)}" for s in SETTINGS]
    rows |= {method: [cell(method, s) for s in SETTINGS] for method in (TF, FT)}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(SETTINGS.values()))
    return table.to_markdown(colalign=["left", *["right"] * len(SETTINGS)])


def gaps() -> str:
    """How much of what label skew costs FedAvg each kind of ReGL wins back."""
    means = {setting: accuracies()[setting].mean(axis=1) for setting in SETTINGS}

    def share(method: str, setting: str) -> str:
        its = means[setting]
        won = (its[method] - its["FedAvg"]) / (its["Centralized"] - its["FedAvg"])
        return f"{100 * won:.0f} %"

    lines = [
        f"- {words}: FedAvg is {its['Centralized'] - its['FedAvg']:.1f} points below Centralized. "
        f"TF wins back {share(TF, setting)} of that, FT {share(FT, setting)}. "
        f"FT − TF is {its[FT] - its[TF]:+.1f} points.".replace("-", "−").replace("− β", "- β", 1)
        for (setting, words), its in zip(SETTINGS.items(), means.values(), strict=True)
    ]
    return "\n".join("- " + line[2:] for line in lines)


def counts() -> str:
    """How many verdicts there are of each kind."""
    rows = pd.read_csv(DESK / "claims.csv")
    kinds = rows["verdict"].value_counts()
    hold, fail, open_ = (kinds.get(kind, 0) for kind in CHIPS)
    return (
        f"{rows['claim'].nunique()} claims, {len(rows)} verdicts: {hold} hold, {fail} do not hold, "
        f"{open_} are not decided."
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
    signs = {number: " ".join(CHIPS[it][0] for it in own) for number, own in rows}
    lines = [f"| {it.number} | {it.text} | {signs.get(it.number, '')} |" for it in CLAIMS]
    return "\n".join(["| | the paper says | here |", "|---:|---|---|", *lines])


def claims() -> str:
    """Each claim with its verdicts."""
    rows = pd.read_csv(DESK / "claims.csv")
    lines = ["| | the paper says | here |", "|---:|---|---|"]
    for claim in CLAIMS:
        own = rows[rows["claim"] == claim.number]
        wheres = [re.match(WHERE, text) for text in own["evidence"]]
        chips = [
            f"**{CHIPS[verdict]}**{f' ({where[1]})' * (where is not None and len(own) > 1)}"
            for verdict, where in zip(own["verdict"], wheres, strict=True)
        ]
        lines.append(f"| {claim.number} | {claim.text} | {'; '.join(chips)} |")
    return "\n".join(lines)


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
    means = accuracies()["beta=0.01"].loc[[FT, TF, "FedAvg", "Centralized"]]
    names = ["ReGL (FT)", "ReGL (TF)", "FedAvg", "all images\nin one place"]
    grid[3].barh(names, means.mean(axis=1), color=["#D55E00", "#56B4E9", "#4B0092", "0.7"])
    for seed in means:
        grid[3].plot(means[seed], names, "o", color="k", markersize=3)
    grid[3].set(xlabel="test accuracy, %, β = 0.01 (dots: seeds)", xlim=(0, 100))
    grid[3].spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    for path in TEXTS:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    picture().savefig(PICTURE, dpi=150, bbox_inches="tight")
