"""Whether `make rehearsal`, the profile paper in small, would notice what goes wrong."""

import pandas as pd
import pytest

from regl_core.errors import ReglError
from regl_core.params import ROOT, Settings, load
from regl_core.report import CLAIMS
from tools.expected import cells
from tools.rehearsal import scene
from tools.rehearsal.acts import Program
from tools.rehearsal.changes import ALL, changes, changes_for_resnet34
from tools.rehearsal.checks import endings, faults, kept, unfinished

PLACES_AND_SIZES = {
    *("datasets", "seeds", "ablations", "betas"),
    *("foundation.name", "foundation.image_encoder", "foundation.captioner", "foundation.device"),
    *("synthesis.sampling_steps", "synthesis.per_stage", "lora.steps", "personalization.epochs"),
    *("training.model", "training.width", "training.rounds", "training.device"),
    *("training.precision",),
    *("training.local_epochs", "vanilla_pool"),  # in the second place alone
}


def altered(tree: dict, other: dict, group: str = "") -> set[str]:
    """The dotted keys at which two trees of the same keys differ."""
    assert tree.keys() == other.keys()
    found = set()
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= altered(value, other[key], f"{group}{key}.")
        elif value != other[key]:
            found.add(f"{group}{key}")
    return found


@pytest.mark.parametrize("some", [changes, changes_for_resnet34])
def test_places_and_sizes_are_all_that_is_altered(some, tmp_path):
    usual, small = (load("paper", its).model_dump() for its in ({}, some(tmp_path)))
    small["methods"]["DynaFed"] = usual["methods"]["DynaFed"]
    small["personal_methods"]["pFedGate"] = usual["personal_methods"]["pFedGate"]
    found = altered(usual, small)
    assert {key for key in found if not key.startswith(tuple(PLACES_AND_SIZES))} == set()
    its = ("root", "complete", "clients", "synthetic_per_class", "image_side")
    datasets = {key for key in found if key.startswith("datasets.")}
    assert datasets == {f"datasets.{name}.{key}" for name in ALL for key in its}
    assert set(usual["datasets"]) == set(ALL)


def test_the_second_place_has_the_papers_network_and_the_other_models(tmp_path):
    one, other = (load("paper", some(tmp_path)) for some in (changes, changes_for_resnet34))
    usual = load("paper").training
    assert (other.training.model, other.training.width) == (usual.model, usual.width)
    assert one.foundation.name != other.foundation.name
    assert one.foundation.image_encoder != other.foundation.image_encoder


def test_the_copy_is_the_program_but_for_two_lists_of_classes(tmp_path):
    copy = scene.program(tmp_path / "program")
    differing = {
        path.relative_to(copy).as_posix()
        for path in copy.rglob("*")
        if path.is_file() and path.read_bytes() != (ROOT / path.relative_to(copy)).read_bytes()
    }
    lists = {f"regl_core/paper/{name}.tsv" for name in scene.LISTS}
    assert differing == lists
    for name in lists:
        rows = (copy / name).read_text().splitlines()
        assert rows == [it for it in (ROOT / name).read_text().splitlines() if it in rows]
        assert sum(not it.startswith("#") for it in rows) == scene.CLASSES
    assert not (copy / ".store").exists() and not (copy / "figures").exists()


def test_an_act_is_told_by_status_words_and_traceback():
    program = Program(ROOT, {"training.rounds": 30})
    assert "training.rounds = 30" in program.told("check", words=("seeds = ",))
    with pytest.raises(ReglError, match=r"check: its exit status is 0, expected 2"):
        program.told("check", status=2)
    with pytest.raises(ReglError, match=r"check: it does not say 'no such word'"):
        program.told("check", words=("no such word",))
    with pytest.raises(ReglError, match=r"check: its exit status is 2, expected 0"):
        Program(ROOT, {"training.ronds": 3}).told("check")


@pytest.fixture
def settings(tmp_path) -> Settings:
    return load("paper", changes(tmp_path))


NAMES = ("table2", "fig5", "fig8")


@pytest.fixture
def folder(tmp_path, settings):
    """Figures as a report leaves them, of NAMES."""
    made = tmp_path / "figures"
    (made / "notebooks").mkdir(parents=True)
    for name in NAMES:
        rows = [(*cell, seed, 50.0) for cell in cells(name, settings) for seed in settings.seeds]
        columns = ["dataset", "setting", "method", "seed", "accuracy_pct"]
        for ending in endings(name):
            (made / f"{name}.{ending}").write_text(ending)
        if "csv" in endings(name):
            pd.DataFrame(rows, columns=columns).to_csv(made / f"{name}.csv", index=False)
        (made / f"notebooks/{name}.html").touch()
    (made / "index.html").touch()
    pd.DataFrame({"claim": [it.number for it in CLAIMS]}).to_csv(made / "claims.csv", index=False)
    return made


def test_a_whole_report_has_no_faults_and_all_its_files_are_compared(folder, settings):
    assert faults(NAMES, settings, folder) == unfinished(folder, NAMES) == []
    figures = {f"{name}.{ending}" for name in NAMES for ending in endings(name)}
    assert set(kept(folder)) == {"claims.csv", "index.html"} | figures


@pytest.mark.parametrize("value", [-0.1, 100.1, None, float("inf")])
def test_a_number_that_cannot_be_is_a_fault(folder, settings, value):
    rows = pd.read_csv(folder / "fig5.csv")
    rows.loc[3, "accuracy_pct"] = value
    rows.to_csv(folder / "fig5.csv", index=False)
    (told,) = faults(NAMES, settings, folder)
    assert told == "fig5.csv: accuracy_pct is not within 0 to 100 everywhere"


@pytest.mark.parametrize("column", ["dataset", "setting", "method", "seed"])
def test_a_cell_that_lacks_is_a_fault_and_so_is_one_too_many(folder, settings, column):
    rows = pd.read_csv(folder / "table2.csv")
    lost = tuple(rows.loc[0, ["dataset", "setting", "method", "seed"]])
    rows.loc[0, column] = 7 if column == "seed" else "another"
    rows.to_csv(folder / "table2.csv", index=False)
    lacks, has = faults(NAMES, settings, folder)
    assert lacks.startswith("table2.csv lacks 1 cells") and lost[0] in lacks and lost[2] in lacks
    assert has.startswith("table2.csv has 1 cells")


def test_files_that_lack_and_claims_without_a_verdict_are_faults(folder, settings):
    (folder / "table2.tex").unlink()
    (folder / "fig8.png").write_text("")
    lacking = ["table2.tex is missing or empty", "fig8.png is missing or empty"]
    assert faults(NAMES, settings, folder) == lacking
    judged = pd.read_csv(folder / "claims.csv")
    judged[judged["claim"] != 5].to_csv(folder / "claims.csv", index=False)
    assert unfinished(folder, NAMES) == ["claims.csv lacks claim 5"]
    (folder / "notebooks/fig5.html").unlink()
    assert unfinished(folder, NAMES) == ["notebooks/fig5.html is missing"]
