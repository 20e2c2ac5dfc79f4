"""The page: what stands on it, in which order, and that it needs nothing but itself."""

import re
from html.parser import HTMLParser

import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from toy_results import PAPERLIKE

from regl_core.errors import ReglError
from regl_core.params import load
from regl_core.press.making import build
from regl_core.press.making import report as make_report
from regl_core.report import save_figure, table, write_csv, write_page

SMOKE = load("smoke")
COLUMNS = ["dataset", "setting", "method", "seed", "accuracy_pct"]
SVG = '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" id="drawn"><g/></svg>'


class Links(HTMLParser):
    """Collects what a page points at."""

    def __init__(self):
        super().__init__()
        self.hrefs, self.ids, self.sources = [], [], []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        for key, where in (("href", self.hrefs), ("id", self.ids), ("src", self.sources)):
            where += [found[key]] if key in found else []


def write(root, name, title, *sources):
    parameters = 'profile = "smoke"\nchanges = {}'
    cells = [
        new_markdown_cell(f"# {title}\n\nWhat it is *about*.\n\nMore."),
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        *map(new_code_cell, sources),
    ]
    nbformat.write(new_notebook(cells=cells), root / f"notebooks/{name}.ipynb")


def fill(root):
    """Make `root` one with two tables, a figure and a drawing."""
    for folder in ("notebooks", "regl_core/paper", "params", "figures/smoke/notebooks"):
        (root / folder).mkdir(parents=True)
    (root / "params/smoke.yaml").touch()
    (root / "regl_core/paper/fig2.svg").write_text(SVG)
    folder = root / "figures/smoke"
    write(root, "start_here", "Start here")
    write(root, "table2", "Table 2: skewed & split")
    write(root, "table4", "Table 4: one each")
    write(root, "fig1", "Figure 1: a start")
    table(2, PAPERLIKE, SMOKE, {}).write(SMOKE, folder)
    levels = {"Separate": 70, "FedRep": 60, "ReGL (TF)": 80, "ReGL (FT)": 90}
    rows = [
        ("digits", f"beta={beta}", method, seed, level + seed)
        for beta in (0.01, 0.5)
        for method, level in levels.items()
        for seed in range(3)
    ]
    draw(root, "table4", rows)
    save_figure(Figure(figsize=(0.01, 0.01)), "fig1", SMOKE, folder)
    copy = folder / "notebooks/table2.ipynb"
    nbformat.write(nbformat.read(root / "notebooks/table2.ipynb", 4), copy)
    write_page(copy)
    return root


def draw(root, name, rows):
    write_csv(pd.DataFrame(rows, columns=COLUMNS), name, SMOKE, root / "figures/smoke")


@pytest.fixture
def root(tmp_path):
    return fill(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A root whose page is made, only to be read."""
    root = fill(tmp_path_factory.mktemp("made"))
    built(root)
    return root


def text_of(root):
    return (root / "figures/smoke/index.html").read_text()


def built(root, **changes):
    return build(root / "figures/smoke", SMOKE, changes, root).read_text()


def test_sections_stand_in_the_papers_order_before_all_claims(made):
    links = Links()
    links.feed(text_of(made))
    assert links.ids == ["fig1", "fig2", "drawn", "table2", "table4", "claims"]


def test_notebooks_beside_the_paper_are_linked_where_they_were_run(root):
    write(root, "privacy", "Privacy: what is given & what not")
    assert "Beside the paper" not in built(root)
    (root / "figures/smoke/notebooks/privacy.html").touch()
    links = Links()
    links.feed(text := built(root))
    assert "notebooks/privacy.html" in links.hrefs and links.ids[-2:] == ["beside", "claims"]
    assert "Privacy: what is given &amp; what not" in text
    told = (root / "figures/smoke/README.md").read_text()  # where forges show notebooks, not pages
    assert "[Privacy: what is given & what not](notebooks/privacy.ipynb)" in told


def test_every_link_leads_somewhere_and_pages_need_no_network(made):
    links, text, folder = Links(), text_of(made), made / "figures/smoke"
    links.feed(text)
    for href in links.hrefs:
        assert href[1:] in links.ids if href.startswith("#") else (folder / href).exists(), href
    assert {"notebooks/table2.html", "table2.csv", "table2.tex", "fig1.pdf"} <= set(links.hrefs)
    assert "../../params/smoke.yaml" in links.hrefs
    assert "http" not in text and "//cdn" not in text
    assert all(source.startswith("data:image/png;base64,") for source in links.sources)
    page = (folder / "notebooks/table2.html").read_text()
    assert "http" not in page and "<link" not in page and "<details" in page
    assert len(page) < 400_000


def test_a_number_stands_beside_the_papers(made):
    text = re.sub(r"<[^>]+>|\s", " ", text_of(made))
    text = re.sub(" +", " ", text)
    assert "Table 2: skewed &amp; split" in text and "What it is about ." in text
    assert "FedAvg 30.0 ± 1.0 (29.0) 50.0 ± 1.0 (51.2)" in text
    assert "ReGL (FT) 87.0 ± 2.0 (77.6)" in text


@pytest.mark.parametrize(
    ("ours", "shade"), [(31.9, ""), (32.0, "more1"), (50.0, "more4"), (20.0, "less3")]
)
def test_the_shade_grows_with_the_gain_over_fedavg(root, ours, shade):
    rows = [("FedAvg", 30.0), ("MOON", ours)]
    draw(root, "table2", [("digits", "beta=0.01", method, 0, score) for method, score in rows])
    section = built(root).partition('id="table2"')[2].partition("</table>")[0]
    assert re.findall(r'class="ours place\d ([a-z0-9]*)"', section) == ["", shade]


def test_the_story_comes_first_and_says_what_the_paper_says_and_what_we_see(made):
    first = text_of(made).partition("<section")[0]
    assert "FedAvg reaches 30.0 %." in first and "and one model trained on all real" in first
    assert "every baseline, at each β." in first
    section = re.sub(r"<[^>]+>|\s+", " ", text_of(made).partition('id="table2"')[2])
    section = re.sub(" +", " ", section)
    assert "The paper says ReGL (FT) &gt; ReGL (TF) &gt; every baseline" in section
    least = "We see for digits, β = 0.01: ReGL (FT) &gt; ReGL (TF): +17.0 points [+14.5, +19.5]"
    assert least in section


def test_more_settings_than_methods_run_down_the_page(root):
    write(root, "table5", "Table 5: skews")
    rows = [("digits", f"beta={beta}", "FedAvg", 0, 50.0) for beta in (0.01, 0.1, 0.5)]
    draw(root, "table5", rows)
    section = built(root).partition('id="table5"')[2].partition("</table>")[0]
    assert re.findall(r'scope="col">(.*?)<', section) == ["FedAvg"]
    assert re.findall(r'scope="row">(.*?)<', section) == ["β = 0.01", "β = 0.1", "β = 0.5"]


def test_claims_stand_by_number_and_go_into_a_csv(made):
    text = text_of(made)
    numbers = [int(number) for number in re.findall(r'class="nr">(\d+)<', text)]
    assert numbers == sorted(numbers) and {2, 3, 4, 6, 7} <= set(numbers)
    rows = pd.read_csv(made / "figures/smoke/claims.csv")
    columns = ["claim", "artefact", "verdict", "evidence", "seeds"]
    assert list(rows) == [*columns, "commit", "settings", "libraries"]
    assert rows["claim"].is_monotonic_increasing
    assert set(rows["artefact"]) == {"table2", "table4"}
    assert rows.set_index("claim").loc[7, "verdict"] == "does not hold"
    ours = text.partition('id="claims"')[2].partition("</section>")[0]
    assert f"holds: {(rows['verdict'] == 'holds').sum()}<" in text
    assert "At β = 0.5 most personalised methods beat Separate." in ours


def test_what_is_missing_is_left_out(tmp_path):
    (tmp_path / "notebooks").mkdir()
    text = build(tmp_path / "figures/smoke", SMOKE, {}, tmp_path).read_text()
    assert "<section" not in text


def test_a_foreign_file_is_an_error(root):
    (root / "figures/smoke/table3.csv").touch()
    for make in (built, lambda root: make_report("smoke", {}, root)):
        with pytest.raises(ReglError, match=r"no notebook makes table3\.csv"):
            make(root)


def test_changes_are_told_and_nothing_is_taken_for_html(root):
    text = built(root, **{"methods.<b>": 1})
    assert "methods.&lt;b&gt;" in text and "<b>&#34;" not in text
    assert "skewed &amp; split" in text
    assert built(root, **{"methods.<b>": 1}) == text  # the same bytes


def test_a_whole_report_of_two_notebooks(root, capsys):
    folder = root / "figures/smoke"
    (root / "notebooks/table4.ipynb").unlink()
    for file in (*folder.glob("table*"), *folder.glob("notebooks/*")):
        file.unlink()
    make = f"""
import pandas as pd
from pathlib import Path
from matplotlib.figure import Figure
from regl_core.report import save_figure, write_csv
from regl_core.params import load
settings, folder = load(profile, changes), Path({str(folder)!r})
rows = [("digits", "beta=0.01", "FedAvg", 0, 30.0 + settings.training.rounds)]
"""
    csv = f'write_csv(pd.DataFrame(rows, columns={COLUMNS}), "table2", settings, folder)'
    write(root, "table2", "Table 2: a", make + csv)
    write(root, "fig1", "Figure 1: b", f'{make}save_figure(Figure(), "fig1", settings, folder)')
    make_report("smoke", {"training.rounds": 3}, root)
    assert str(folder / "index.html") in capsys.readouterr().out
    text = (folder / "index.html").read_text()
    assert "33.0" in text and "training.rounds" in text
    assert all((folder / f"notebooks/{name}.html").exists() for name in ("table2", "fig1"))


def test_a_forge_shows_the_same_of_the_folder(made):
    folder = made / "figures/smoke"
    text = (folder / "README.md").read_text()
    table = (folder / "table2.md").read_text().split("\n\n")[0]
    assert table in text and "Claim 2." in text and "![Figure 1" in text
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links and all((folder / link).exists() for link in links if "fig2" not in link)
