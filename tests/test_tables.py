"""A table from results: the published numbers beside ours, in three formats on disk."""

import math
import re
from pathlib import Path

import pandas as pd
import pytest
from toy_results import DIGITS, METHODS, PAPERLIKE, SKEWED, result, results, settings

from regl_core.errors import ReglError
from regl_core.paper import published
from regl_core.params import ROOT, load
from regl_core.partition import Dirichlet, Pooled
from regl_core.report import gather, judge, tables
from regl_core.report.formats import escape
from regl_core.report.provenance import Provenance

SMOKE = load("smoke")
MADE = Provenance("table2", "0123456789", "abcdef", "python 3, torch 2")


def table(made=PAPERLIKE, number=2, its=DIGITS, changes=None):
    return tables.table(number, made, its, changes or {})


def row(text, method):
    """The cells of a method's row of a table in Markdown."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {method} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_published_tables_are_whole_and_an_unknown_one_is_refused():
    assert [len(published(number)) for number in range(1, 8)] == [10, 105, 50, 90, 36, 64, 36]
    two = published(2).set_index(["dataset", "setting", "method"])
    assert two.loc[("imagefruit", "beta=0.01", "ReGL (FT)")].tolist() == [77.6, 1.2]
    assert published(1)["std_pct"].isna().all()
    with pytest.raises(ReglError, match="table 8 is unknown, expected one of 1, 2, 3, 4, 5, 6, 7"):
        published(8)


def test_paper_stands_under_our_data_sets():
    rows = tables.beside(3, settings(digits="imagefruit", ours=None, cub="cub"))
    assert list(dict.fromkeys(rows["dataset"])) == ["digits", "cub"]
    digits = rows[(rows["dataset"] == "digits") & (rows["method"] == "FedAvg")]
    assert digits["accuracy_pct"].tolist() == [11.9]


def test_what_a_table_cannot_tell_apart_and_no_results_are_refused():
    twice = [result("FedAvg", Dirichlet(beta=0.5, clients=n), 0, 50.0) for n in (5, 10)]
    with pytest.raises(ReglError, match=r"FedAvg on digits, beta=0\.5, seed 0"):
        gather(twice)
    with pytest.raises(ReglError, match="no results"):
        gather([])


# The CSV


def test_csv_is_one_row_per_run_in_the_order_of_the_grid():
    made = [
        result("Centralized", Pooled(), 0, 91.257),
        result("ReGL (FT)", SKEWED[0], 1, 80.0),
        result("FedAvg", SKEWED[0], 0, 29.004),
    ]
    made_by = '0123456789,abcdef,"python 3, torch 2"'
    assert table(made).texts(MADE)["csv"].splitlines() == [
        "dataset,setting,method,seed,accuracy_pct,commit,settings,libraries",
        f"digits,all,Centralized,0,91.26,{made_by}",
        f"digits,beta=0.01,ReGL (FT),1,80.00,{made_by}",
        f"digits,beta=0.01,FedAvg,0,29.00,{made_by}",
    ]


# Markdown and LaTeX


def test_cell_is_mean_and_deviation_beside_the_papers():
    text = table().md
    assert row(text, "FedAvg") == ["30.0 ± 1.0 (29.0 ± 2.0)", "50.0 ± 1.0 (51.2 ± 1.9)"]
    assert row(text, "ReGL (TF)")[0] == "<ins>70.0 ± 1.0</ins> (70.6 ± 1.8)"
    assert row(text, "ReGL (FT)")[1] == "**89.0 ± 2.0** (78.8 ± 1.5)"
    assert row(text, "Centralized") == ["90.0 ± 1.0 (78.2 ± 1.3)"] * 2


def test_caption_names_seeds_profile_changes_and_counterpart():
    text = table(changes={"training.rounds": 3}).md
    assert 'Table 2, profile desk with {"training.rounds": 3}: test accuracy in %' in text
    assert "mean of the last 3 rounds. 3 seeds: mean ± standard deviation" in text
    assert "imagefruit for digits" in text
    single = table(results({"FedAvg": 50}, spread=(0.0,))).md
    assert single.count("1 seed.") == 1 and row(single, "FedAvg")[0] == "**50.0** (29.0 ± 2.0)"


def test_means_that_print_alike_share_a_place():
    text = table(results({"FedAvg": 70.04, "MOON": 69.96, "FedProx": 60, "FedNova": 50})).md
    starts = {"FedAvg": "**70.0", "MOON": "**70.0", "FedProx": "<ins>", "FedNova": "50.0"}
    assert all(row(text, method)[0].startswith(start) for method, start in starts.items())


def test_methods_stand_in_the_papers_order():
    made = results({"Mine": 1, "ReGL (FT)": 2, "MOON": 3, "FedAvg": 4, "Centralized": 5})
    found = re.findall(r"^\| (.+?) \|", table(made).md, re.M)
    assert found == ["method", "---", "Centralized", "FedAvg", "MOON", "ReGL (FT)", "Mine"]


def test_a_control_is_marked_and_last_and_has_no_place():
    made = results({"FedAvg (same steps)": 99, "FedAvg": 60, "ReGL (TF)": 70, "ours": 50})
    shown = tables.table(2, made, DIGITS, {})
    rows = re.findall(r"^\| (.+?) \| (.+?) ", shown.md, re.M)
    assert rows[-2:] == [("ours", "50.0"), ("FedAvg (same steps) †", "99.0")]
    assert ("ReGL (TF)", "**70.0") in rows and ("FedAvg", "<ins>60.0") in rows
    assert "† a control of ours, not ranked" in shown.md and r"same steps) \dag{}" in shown.tex


def test_missing_numbers_are_dashes():
    made = results({"FedAvg": 30}) + results({"Mine": 40}, SKEWED[1:])
    assert row(table(made).md, "Mine")[0] == "–"
    assert row(table(made).md, "Mine")[1].endswith("(–)")
    assert row(table(made, its=settings(digits=None)).md, "FedAvg")[0] == "**30.0 ± 1.0** (–)"


def test_what_has_diverged_is_told_and_not_ranked(tmp_path):
    its = ("FedAvg", SKEWED[0], 1)
    made = [it for it in PAPERLIKE if (it.run.method, it.run.partition, it.run.seed) != its]
    shown = table([*made, result(*its, math.nan)])
    assert row(shown.md, "FedAvg")[0] == "diverged (29.0 ± 2.0)"
    assert row(shown.md, "FedAvg")[1].startswith("50.0")
    assert row(shown.md, "ReGL (TF)")[0].startswith("<ins>70.0")  # second, as before
    assert "diverged ($29.0" in shown.tex
    shown.write(SMOKE, tmp_path)
    kept = pd.read_csv(tmp_path / "table2.csv")
    assert kept["accuracy_pct"].isna().sum() == 1
    found = {it.where: it for it in judge("table2", kept, DIGITS) if it.claim == 2}
    verdict = found["digits, β = 0.01"]
    assert verdict.verdict == "not decided"
    assert any("FedAvg at β = 0.01 diverged" in sentence for sentence in verdict.evidence)


def test_a_name_stays_within_its_cell():
    odd = [result("A|<b>", SKEWED[0], seed, 50.0, dataset="my|own") for seed in range(3)]
    shown = table(odd, its=settings(**{"my|own": None}))
    assert "| A\\|&lt;b&gt; | **50.0 ± 0.0**" in shown.md and "my\\|own, β = 0.01" in shown.md


def test_latex_is_well_formed():
    its = settings(digits="imagefruit", my_fruit=None)
    made = PAPERLIKE + results(dict.fromkeys(METHODS, 40.0), dataset="my_fruit")
    assert (
        r"Centralized & \multicolumn{2}{c}{$90.0_{\pm 1.0}$ ($78.2_{\pm 1.3}$)} \\" in table().tex
    )
    text = table(made, its=its, changes={"lora.prior_share": 0.5}).tex
    assert r"$\mathbf{87.0}_{\pm 2.0}$ ($77.6_{\pm 1.2}$)" in text
    assert r"$\underline{70.0}_{\pm 1.0}$ ($70.6_{\pm 1.8}$)" in text
    assert text.isascii()
    assert re.sub(r"\\[{}]", "", text).count("{") == re.sub(r"\\[{}]", "", text).count("}")
    assert not re.search(r"(?<![\\])[%#]", text.replace("  % needs the package booktabs", ""))
    assert not re.search(r"(?<!\\)_(?!\{\\pm)", text)
    columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1])
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 2 + len(METHODS)
    for line in rows:
        spans = [int(number) for number in re.findall(r"\\multicolumn\{(\d+)\}", line)]
        assert line.count("& ") + 1 + sum(spans) - len(spans) == columns


def test_latex_escapes():
    assert escape(r"50% of a_b & c{d}\e~f^g β") == (
        r"50\% of a\_b \& c\{d\}\textbackslash{}e\textasciitilde{}f\textasciicircum{}g $\beta$"
    )


def test_same_results_give_the_same_bytes_which_say_what_made_them(tmp_path):
    for folder in ("one", "two"):
        table().write(SMOKE, tmp_path / folder)
    found = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert found.keys() == {"table2.csv", "table2.md", "table2.tex"}
    assert found == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert not any(b"\r" in content for content in found.values())
    texts = table().texts(MADE)
    line = "table2: commit 0123456789; settings abcdef; libraries python 3, torch 2"
    assert texts["md"] == f"{table().md}\n<!-- {line} -->\n"
    assert texts["tex"] == f"{table().tex}% {line}\n"


def test_failed_write_leaves_everything_as_it_was(tmp_path, monkeypatch):
    table().write(SMOKE, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    write = Path.write_bytes

    def full(path, content):
        if ".csv" in path.name:
            raise OSError("no space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        table(results({"FedAvg": 10})).write(SMOKE, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_is_shipped_is_shown_as_it_lies_there():
    found = tables.shipped("table2", "desk", {})
    assert found.data == (ROOT / "figures/desk/table2.md").read_text(encoding="utf-8")
    assert tables.shipped("table2", "desk", {"training.rounds": 3}) is None
    assert tables.shipped("table2", "nowhere", {}) is None
