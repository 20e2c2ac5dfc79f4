"""Runs end to end on the shipped models: what they share, and that they repeat."""

from pathlib import Path

import pytest
import torch
from toy_kills import contents

from regl_core.engine import Store
from regl_core.errors import ReglError
from regl_core.params import Settings, load
from regl_core.partition import IID, Dirichlet, Pooled, SingleLabel
from regl_core.pipeline import Pipeline
from regl_core.report import digest, trace
from regl_core.runs import HANDED, Handed, PersonalRun, Run, identity, run_all
from regl_core.stages import LoraImages, Vanilla

SETTINGS = load("smoke")
SKEWED = Dirichlet(beta=0.01, clients=2)


def run(method: str = "FedAvg", partition=SKEWED, seed: int = 0, settings: Settings = SETTINGS):
    return Run(dataset="digits", partition=partition, method=method, seed=seed, settings=settings)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"method": "FedAvgg"}, "FedAvg"),
        ({"method": "Centralized"}, "Pooled"),
        ({"partition": Pooled()}, "Centralized"),
    ],
)
def test_a_run_that_makes_no_sense_is_refused(fields: dict, said: str) -> None:
    with pytest.raises(ReglError, match=said):
        run(**fields)


def test_what_a_method_cannot_run_with_is_refused_before_any_compute() -> None:
    short = load("smoke", {"methods.DynaFed.trajectory": 3})
    how = {"dataset": "digits", "partition": IID(clients=2), "seed": 0, "settings": short}
    with pytest.raises(ReglError, match=r"'DynaFed'.* not recorded before the last of 2 rounds"):
        Run(method="DynaFed", **how).stage(Pipeline())
    brief = load("smoke", {"training.local_epochs": 1})
    with pytest.raises(ReglError, match=r"'FedRep'.*fewer than training.local_epochs = 1"):
        PersonalRun(method="FedRep", **how | {"settings": brief}).stage(Pipeline())


def test_an_unknown_data_set_is_refused() -> None:
    with pytest.raises(ReglError, match="digits"):
        Run(dataset="digit", partition=SKEWED, method="FedAvg", seed=0, settings=SETTINGS)


def test_more_clients_than_images_are_refused_before_any_compute() -> None:
    with pytest.raises(ReglError, match="clients"):
        run(partition=IID(clients=10**4)).stage(Pipeline())


def test_a_partition_is_shared_by_all_methods_and_vanilla_images_by_all_partitions() -> None:
    pipeline = Pipeline()
    methods = ("FedAvg", "ReGL (TF)", "ReGL (FT)")
    fedavg, free, tuned = (run(method).stage(pipeline) for method in methods)
    assert fedavg.parts == free.parts == tuned.parts
    assert fedavg.synthetic == ()
    other = run("ReGL (TF)", SingleLabel()).stage(pipeline)
    assert other.synthetic[: len(free.synthetic)] == free.synthetic
    assert all(len(pieces) == 1 for pieces in other.synthetic)
    assert len({stage.key for (stage,) in other.synthetic}) == len(other.parts)
    for mine, (stage,) in zip(tuned.parts, tuned.synthetic, strict=True):
        if mine:
            assert isinstance(stage, LoraImages)
            assert stage.tuned.captioned.indices == mine


def test_a_client_without_images_falls_back_to_the_vanilla_model() -> None:
    pipeline = Pipeline()
    seed = next(
        seed
        for seed in range(100)
        if not all(run(seed=seed, partition=Dirichlet(beta=0.01, clients=5)).stage(pipeline).parts)
    )
    stage = run("ReGL (FT)", Dirichlet(beta=0.01, clients=5), seed).stage(pipeline)
    for mine, (images,) in zip(stage.parts, stage.synthetic, strict=True):
        assert isinstance(images, LoraImages if mine else Vanilla)


def test_settings_that_play_no_part_leave_a_key_alone() -> None:
    pipeline = Pipeline()
    fewer = load("smoke", {"lora.steps": 1})
    assert run(settings=fewer).stage(pipeline).key == run().stage(pipeline).key
    assert run("ReGL (TF)", settings=fewer).stage(pipeline).key == (
        run("ReGL (TF)").stage(pipeline).key
    )
    assert run("ReGL (FT)", settings=fewer).stage(pipeline).key != (
        run("ReGL (FT)").stage(pipeline).key
    )


@pytest.mark.parametrize(
    "change",
    [{"published": None}, {"clients": 7}, {"synthetic_per_class": 4}],
    ids=lambda change: next(iter(change)),
)
def test_settings_of_a_data_set_that_its_images_do_not_depend_on_leave_keys_alone(change) -> None:
    pipeline = Pipeline()
    other = load("smoke", {"datasets": {"digits": change}})
    assert run(settings=other).stage(pipeline).key == run().stage(pipeline).key
    mine, theirs = (run("ReGL (FT)", settings=s).stage(pipeline) for s in (SETTINGS, other))
    assert [own[0].key for own in mine.synthetic] == [own[0].key for own in theirs.synthetic]
    assert (mine.key == theirs.key) == ("synthetic_per_class" not in change)


@pytest.mark.parametrize("key", ["train_per_class", "image_side", "split_seed", "validation_share"])
def test_settings_that_change_the_images_change_the_key(key) -> None:
    values = {"train_per_class": 7, "image_side": 24, "split_seed": 1, "validation_share": 0.2}
    other = load("smoke", {f"datasets.digits.{key}": values[key]})
    assert run(settings=other).stage(Pipeline()).key != run().stage(Pipeline()).key


def test_results_repeat_and_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    """Of every method: one after the other in this process, and by two others."""
    few = load("smoke", {"datasets.digits.validation_share": 0.34, "training.local_epochs": 2})
    grid = [
        run(method, Pooled() if method == "Centralized" else SKEWED, settings=few)
        for method in few.methods
    ]
    shared = {key: value for key, value in run(settings=few) if key != "method"}
    personal = [PersonalRun(**shared, method=name) for name in few.personal_methods]
    one, two, pipeline = Store(tmp_path / "one"), Store(tmp_path / "two"), Pipeline()
    results = run_all([*grid, *personal], two, workers=2)
    for it in (*grid, *personal):
        one.ensure(it.stage(pipeline))
    assert contents(one.root) == contents(two.root)

    # What is there is read, and nothing written.
    before = {path: path.stat().st_mtime_ns for path in two.root.rglob("*") if path.is_file()}
    assert run_all([*grid, *personal], two, workers=1) == results
    after = {path: path.stat().st_mtime_ns for path in two.root.rglob("*") if path.is_file()}
    assert {k: v for k, v in after.items() if "locks" not in k.parts} == {
        k: v for k, v in before.items() if "locks" not in k.parts
    }
    for result in results[: len(grid)]:
        assert len(result.accuracy) == SETTINGS.training.rounds
        assert 0 <= result.accuracy_pct <= 100
    assert personal[1].stage(pipeline).key == grid[1].stage(pipeline).key  # FedAvg's
    for result in results[len(grid) :]:
        method, how = result.run.build(), SETTINGS.personalization
        rounds = method.schedule(SETTINGS.training, how).rounds
        length = how.epochs if method.personalized else rounds
        curves = [curve for curve in result.clients if curve is not None]
        assert len(result.clients) == 2 and curves
        assert all(len(curve) == length for curve in curves)
        assert result.accuracy_pct == sum(map(max, curves)) / len(curves) >= result.personal.last


def test_a_kernel_reads_what_it_is_handed_and_refuses_the_rest(tmp_path, monkeypatch) -> None:
    (tmp_path / "accuracy.json").write_text("[10.0, 20.0]")
    given = Handed(settings=digest(SETTINGS), results={identity(run()): str(tmp_path)})
    (tmp_path / "handed.json").write_text(given.model_dump_json())
    monkeypatch.setenv(HANDED, str(tmp_path / "handed.json"))
    with monkeypatch.context() as patch:
        patch.setattr(Run, "stage", None)  # nothing is worked out anew
        (result,) = run_all([run()])
        assert result.accuracy == (10.0, 20.0)
        for other in (run(seed=1), run(settings=load("smoke", {"lora.steps": 1}))):
            with pytest.raises(ReglError, match="settings were edited while the notebook ran"):
                run_all([run(), other])
    for settings in (SETTINGS, SETTINGS.for_ablations()):  # of runs, which were all looked at
        assert trace("table5", settings).settings == digest(settings)


def test_a_kernel_without_a_grid_refuses_other_settings(tmp_path, monkeypatch) -> None:
    given = Handed(settings=digest(SETTINGS), results=None)
    (tmp_path / "handed.json").write_text(given.model_dump_json())
    monkeypatch.setenv(HANDED, str(tmp_path / "handed.json"))
    assert trace("fig3", SETTINGS).settings == given.settings
    with pytest.raises(ReglError, match=r"fig3: settings were edited .*: run it again"):
        trace("fig3", load("smoke", {"seeds": [7]}))


def test_no_synthetic_images_is_fedavg_bit_for_bit(tmp_path: Path) -> None:
    none = load("smoke", {"datasets.digits.synthetic_per_class": 0})
    store = Store(tmp_path)
    grid = [run(m, settings=none) for m in ("FedAvg", "ReGL (TF)", "ReGL (FT)")]
    stages = [run.stage(Pipeline()) for run in grid]
    weights = [(store.ensure(stage) / "weights.safetensors").read_bytes() for stage in stages]
    assert weights[0] == weights[1] == weights[2]


def test_centralized_is_one_client_with_everything() -> None:
    stage = run("Centralized", Pooled()).stage(Pipeline())
    (everything,) = stage.parts
    assert torch.equal(torch.tensor(everything), torch.arange(len(everything)))
