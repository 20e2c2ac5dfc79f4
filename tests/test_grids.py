"""What the notebooks of ablations and figures ask for: the paper's columns and rows, and shared."""

import pytest

from regl_core.paper import published
from regl_core.params import ROOT, load
from regl_core.pipeline import Pipeline
from regl_core.press.grids import grid_of
from regl_core.report import ClientImagesRun, DistanceRun, UpdateRun, rows
from regl_core.report.comparison import CONTROLS
from regl_core.runs import PersonalResult, PersonalRun, Result, Run
from tools.expected import DRAWN, Cell, cells

PLACES = {
    "table1": rows.by_task,
    "table5": rows.by_partition,
    "table6": rows.by_epochs,
    "table7": rows.by_clients,
    "fig1": rows.by_partition,
    "fig5": rows.by_volume,
}


def grid(name: str, profile: str) -> list[Run]:
    return grid_of(ROOT / "notebooks" / f"{name}.ipynb", profile, {})


def cell(name: str, run: Run) -> Cell:
    result = PersonalResult(run, ()) if isinstance(run, PersonalRun) else Result(run, ())
    return (run.dataset, *PLACES.get(name, rows.by_partition)(result))


GRIDS = (
    *(f"table{number}" for number in range(1, 8)),
    *("fig1", "fig4", "fig5", "fig6", "fig7", "fig8"),
)


@pytest.mark.parametrize("profile", ["smoke", "desk", "paper"])
@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_is_every_column_by_every_row_by_every_seed(name, profile):
    runs, settings = grid(name, profile), load(profile)
    seeds = settings.seeds[:1] if name == "fig8" else settings.seeds
    found = [(*cell(name, run), run.seed) for run in runs]
    assert len(found) == len(set(found))
    assert set(found) == {(*its, seed) for its in cells(name, settings) for seed in seeds}


@pytest.mark.parametrize("table", [1, 2, 3, 4, 5, 6, 7])
def test_at_the_papers_settings_a_table_has_the_cells_that_are_published(table):
    paper = published(table)
    name = f"table{table}"
    found = {cell(name, run) for run in grid(name, "paper") if run.method not in CONTROLS}
    if table == 3:  # the paper sets Centralized beside it in words alone
        ours = {(dataset, "all", "Centralized") for dataset in load("paper").datasets}
        assert ours < found
        found -= ours
    assert found == set(paper[["dataset", "setting", "method"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("fig4", UpdateRun), ("fig6", DistanceRun), ("fig7", UpdateRun), ("fig8", ClientImagesRun)],
)
def test_a_figure_asks_for_what_it_shows(name, kind):
    assert {type(run) for run in grid(name, "smoke")} == {kind}


def test_the_explored_settings_are_those_of_the_column():
    for run in grid("table6", "desk"):
        epochs = int(cell("table6", run)[1].rpartition("=")[2])
        assert run.settings.training.local_epochs == epochs
    for run in grid("fig5", "desk"):
        images = int(cell("fig5", run)[1].rpartition("=")[2])
        assert images in (0, run.settings.datasets["digits"].synthetic_per_class)
    for run in grid("table7", "desk"):
        clients = int(cell("table7", run)[1].rpartition("=")[2])
        assert run.partition.clients == clients


@pytest.fixture(scope="module")
def desk() -> Pipeline:
    return Pipeline()


@pytest.fixture(scope="module")
def known(desk) -> dict[Cell, Run]:
    """The runs of Table 2 with the first seed."""
    return {cell("table2", run): run for run in grid("table2", "desk") if run.seed == 0}


SHARED = [  # the column that an ablation has in common with Table 2
    ("table1", "global_share=0%", "beta=0.01"),
    ("table5", "beta=0.01", "beta=0.01"),
    ("table5", "beta=0.5", "beta=0.5"),
    ("table6", "beta=0.01;local_epochs=5", "beta=0.01"),
    ("table6", "beta=0.5;local_epochs=5", "beta=0.5"),
    ("table7", "beta=0.01;clients=5", "beta=0.01"),
    ("fig1", "beta=0.01", "beta=0.01"),
    ("fig5", "beta=0.5;images=0", "beta=0.5"),
    ("fig5", "beta=0.5;images=10", "beta=0.5"),
]


@pytest.mark.parametrize(("name", "setting", "column"), SHARED)
def test_an_ablation_shares_its_runs_with_table_2(name, setting, column, desk, known):
    runs = [
        run
        for run in grid(name, "desk")
        if run.seed == 0 and type(run) is Run and cell(name, run)[1] == setting
    ]
    assert runs
    for run in runs:
        theirs = known["digits", column, run.method]
        assert run.stage(desk).key == theirs.stage(desk).key


def test_table_1_shares_its_personal_runs_with_table_4(desk):
    (mine,) = (
        run
        for run in grid("table1", "desk")
        if isinstance(run, PersonalRun) and run.partition.share == 0 and run.seed == 0
    )
    (theirs,) = (
        run
        for run in grid("table4", "desk")
        if run.method == "FedAvg" and run.seed == 0 and run.partition.beta == 0.01
    )
    assert mine.stage(desk).key == theirs.stage(desk).key


@pytest.mark.parametrize("name", ["fig4", "fig7"])
def test_local_updates_go_on_from_the_runs_of_table_2(name, desk, known):
    for run in grid(name, "desk"):
        if run.seed == 0:
            theirs = known["digits", "beta=0.01", run.method]
            assert run.stage(desk).trained.key == theirs.stage(desk).key


def test_figures_6_and_8_look_at_the_images_of_table_2(desk, known):
    for run in grid("fig6", "desk"):
        if run.seed == 0:
            own = known["digits", "beta=0.01", run.method].stage(desk).needs()
            found = [embedded.images for embedded in run.stage(desk).synthetic]
            assert [piece.key for piece in found] == [piece.key for piece in own]
    for run in grid("fig8", "desk"):
        own = known["digits", "beta=0.5", run.method].stage(desk).synthetic[0]
        assert run.stage(desk).key == own[0].key


def test_fewer_images_of_figure_5_are_some_of_more(desk):
    for method in DRAWN:
        pieces = {
            run.settings.datasets["digits"].synthetic_per_class: run.stage(desk).synthetic
            for run in grid("fig5", "desk")
            if run.method == method and run.seed == 0
        }
        assert {n: {len(own) for own in every} for n, every in pieces.items()} == {
            5: {1},
            10: {1},
            20: {2},
            40: {4},
        }
        keys = {n: [own[0].key for own in every] for n, every in pieces.items()}
        assert keys[5] == keys[10] == keys[20] == keys[40]
