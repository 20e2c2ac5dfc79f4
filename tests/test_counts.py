"""How much work stages are, counted by hand; what they keep, compared with what they do keep."""

from dataclasses import replace
from pathlib import Path

import pytest

from regl_core import methods
from regl_core.engine import Stage, Store, closure, run_stages
from regl_core.evidence.probes import Judge, Probed
from regl_core.params import load
from regl_core.partition import Dirichlet, Pooled
from regl_core.pipeline import Pipeline
from regl_core.plan import DryRun, counts
from regl_core.plan.counts import BYTE, START, Unit
from regl_core.privacy.adapter_attack import AdapterAttack
from regl_core.privacy.neighbours import Neighbours
from regl_core.privacy.update_attack import UpdateAttack
from regl_core.report import DistanceRun, UpdateRun
from regl_core.runs import PersonalRun, Run

CHANGES = {
    "datasets.digits.train_per_class": 10,
    "datasets.digits.synthetic_per_class": 5,
    "synthesis": {"per_stage": 3, "sampling_steps": 4, "batch_size": 20, "guidance": 4.5},
    "lora": {"steps": 7, "batch_size": 8, "rank": 2, "guidance": 1.0, "prior_share": 0.0},
    "training": {"rounds": 6, "local_epochs": 2, "batch_size": 32, "report_rounds": 1},
    "personalization.epochs": 9,
}
SETTINGS = load("smoke", CHANGES)
TESTED = 1797 - 600 - 100  # images of the digits that are neither for choosing nor trained on
SKEWED = Dirichlet(beta=0.5, clients=3)
PIPELINE = Pipeline()


def run(method: str, kind: type[Run] = Run, partition=SKEWED) -> Run:
    return kind(dataset="digits", partition=partition, method=method, seed=0, settings=SETTINGS)


def amounts(stage: Stage) -> dict[str, float]:
    """How much of each unit, by what is done, without the start that all have."""
    work = counts.of(stage)
    assert work[START] >= counts.BEGUN
    return {unit.what: amount for unit, amount in work.items() if unit != START}


def test_drawing_images():
    vanilla, tuned = (
        run(method).stage(PIPELINE).synthetic[0][0] for method in ("ReGL (TF)", "ReGL (FT)")
    )
    # Three images of each of ten classes; guidance takes every step twice, and 1 is none.
    assert amounts(vanilla) == {"denoised": 240, "byte": 30 * 3 * 16**2}
    assert amounts(tuned) == {"denoised": 120, "byte": 30 * 3 * 16**2}


def test_describing_and_tuning():
    trained = run("ReGL (FT)").stage(PIPELINE)
    tuned, count = trained.synthetic[0][0].tuned, len(trained.parts[0])
    assert amounts(tuned.captioned) == {"captioned": count, "embedded": count}
    # Seven steps of eight images; the features of 30 drawn ones; no prior.
    assert amounts(tuned) == {"tuned": 56, "encoded": count, "embedded": 30}
    its = SETTINGS.altered({"lora.prior_share": 0.5})
    with_prior = run("ReGL (FT)").model_copy(update={"settings": its}).stage(PIPELINE)
    found = amounts(with_prior.synthetic[0][0].tuned)
    assert (found["captioned"], found["encoded"]) == (30, count + 30)


def test_training():
    # 100 images, and 3 clients with five synthetic ones of each of 10 classes.
    plain, drawn = (run(name).stage(PIPELINE) for name in ("FedAvg", "ReGL (TF)"))
    found = amounts(plain)
    assert (found["trained"], found["evaluated"]) == (100 * 12, 6 * TESTED * 2)
    assert amounts(drawn)["trained"] == (100 + 150) * 12
    assert amounts(drawn)["evaluated"] == 6 * TESTED  # its personal models come later
    pooled = run("Centralized", partition=Pooled()).stage(PIPELINE)
    assert amounts(pooled)["trained"] == 100 * 12
    assert Unit("trained", "resnet_small 8", 16) in counts.of(plain)


def test_what_methods_do_besides():
    training = SETTINGS.training.model_copy(update={"client_fraction": 0.5})
    fedavg, moon = (methods.get(name, {}) for name in ("FedAvg", "MOON"))
    assert counts.passes(fedavg, 100, 10, training) == 100 * 0.5 * 12
    assert counts.passes(moon, 100, 10, training) == pytest.approx(100 * 0.5 * 12 * 5 / 3)
    how = {"trajectory": 4, "segment": 2, "iterations": 10, "inner_steps": 3, "inner_batch": 8}
    dynafed = methods.get("DynaFed", {**how, "images_per_class": 2, "server_epochs": 5})
    # Ten times three steps of eight images, forward and backward and back through both; then, in
    # three of the six rounds, five epochs on two images of ten classes.
    besides = 10 * 3 * 8 * 3 + 3 * 5 * 20
    assert counts.passes(dynafed, 100, 10, training) == 100 * 0.5 * 12 + besides
    assert {it.name for it in methods.known().values()} >= counts.PASSES.keys()


def test_what_comes_after_training():
    personal = run("ReGL (TF)", PersonalRun).stage(PIPELINE)
    assert amounts(personal) == {"trained": 9 * 250, "evaluated": 9 * TESTED}
    updated = run("FedAvg", UpdateRun).stage(PIPELINE)
    assert amounts(updated) == {"trained": 100 * 2, "evaluated": 4 * TESTED}
    distance = run("ReGL (TF)", DistanceRun).stage(PIPELINE)
    assert [amounts(need)["embedded"] for need in distance.needs()] == [100] + [30] * 6


def test_distances_take_time_for_every_pair_of_images():
    """At `paper` 13,000 real and 65,000 synthetic ones: minutes, not half a second."""
    stage = run("ReGL (TF)", DistanceRun).stage(PIPELINE)
    half = replace(stage, synthetic=stage.synthetic[: len(stage.synthetic) // 2])
    took = [counts.of(it)[START] - counts.BEGUN for it in (stage, half)]
    pairs = [100**2 + 100 * n + n**2 for n in (180, 90)]
    assert took == pytest.approx([counts.PAIR * it for it in pairs])


def test_probes_and_attacks():
    trained = run("ReGL (FT)").stage(PIPELINE)
    drawn, count = trained.synthetic[0][0], len(trained.parts[0])
    # Members and as many strangers, five noises each, with the adapter and without.
    attack = amounts(AdapterAttack(drawn.tuned, 5))
    assert attack == {"denoised": 2 * 2 * 5 * count, "encoded": 2 * 2 * count}
    judge = Judge(trained.source, SETTINGS.training, SETTINGS.probe, 0)
    epochs = SETTINGS.probe.epochs
    assert amounts(judge)["trained"] == (TESTED + 100) * epochs
    assert amounts(Probed(judge, drawn)) == {
        "trained": 30 * epochs, "evaluated": TESTED + 30, "embedded": 130,
    }  # fmt: skip


def test_every_kind_of_stage_is_counted():
    assert {Neighbours.__name__, UpdateAttack.__mro__[1].__name__} <= counts.COUNTS.keys()

    def below(kind: type) -> list[type]:
        return [it for own in kind.__subclasses__() for it in (own, *below(own))]

    own = [it for it in below(Stage) if it.__module__.startswith("regl_core.")]
    own = [it for it in own if "datasets" not in it.__module__]  # decoded before anything
    assert len(own) >= 16
    assert all({kind.__name__ for kind in it.__mro__} & counts.COUNTS.keys() for it in own)


RUNS = run("ReGL (FT)"), run("FedAvg", UpdateRun)


def test_what_is_kept_is_about_what_was_said(tmp_path: Path):
    """Images and networks within a tenth; of what is not counted each has less than a megabyte."""
    store, counted = Store(tmp_path), {"Vanilla": 5e2, "LoraImages": 1e4, "Trained": 3e4}
    run_stages([it.stage(PIPELINE) for it in RUNS], store, workers=1, progress=False)
    for stage in closure(it.stage(PIPELINE) for it in RUNS).values():
        files = [path for path in store.path(stage).rglob("*") if path.name != "entry.json"]
        kept, beside = sum(path.stat().st_size for path in files), counted.get(stage.kind, 1e6)
        assert counts.of(stage).get(BYTE, 0) == pytest.approx(kept, rel=0.1, abs=beside), stage.kind


def test_a_dry_run_builds_the_same_stages(tmp_path: Path):
    built = DryRun(tmp_path)
    for method in ("FedAvg", "ReGL (FT)"):
        planned, real = run(method).stage(built), run(method).stage(PIPELINE)
        assert planned.key == real.key and counts.of(planned) == counts.of(real)
    assert built.notes == built.lacking == [] and built.unpacked == {}
