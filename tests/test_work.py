"""How much work stages are, counted by hand; what they keep, compared with what they do keep."""

from dataclasses import replace
from pathlib import Path

import pytest

from regl_core import methods
from regl_core.engine.runner import closure, run_stages
from regl_core.engine.stage import Stage
from regl_core.engine.store import Store
from regl_core.evidence.probed import Judge, Probed
from regl_core.params import load
from regl_core.partition import Dirichlet, Pooled
from regl_core.pipeline import Pipeline
from regl_core.plan import counts
from regl_core.plan.dry_run import Outline
from regl_core.plan.footprint import disk
from regl_core.plan.work import BYTE, START, Unit, sampled, total
from regl_core.privacy.adapter_attack import AdapterAttack
from regl_core.report.analyses import DistanceRun, UpdateRun
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
TESTED = 1797 - 100  # images of the digits that are not trained on
SKEWED = Dirichlet(beta=0.5, clients=3)
PIPELINE = Pipeline()


def run(method: str, kind: type[Run] = Run, partition=SKEWED) -> Run:
    return kind(dataset="digits", partition=partition, method=method, seed=0, settings=SETTINGS)


def amounts(stage: Stage) -> dict[str, float]:
    """How much of each unit, by what is done; no two of these stages have two of one."""
    found = {unit.what: amount for unit, amount in counts.of(stage).items() if amount}
    assert len(found) == sum(bool(amount) for amount in counts.of(stage).values())
    return found


def batches(stage: Stage) -> dict[str, int]:
    return {unit.what: unit.batch for unit in counts.of(stage)}


def test_drawing_images():
    vanilla, tailored = (
        run(method).stage(PIPELINE).synthetic[0][0] for method in ("ReGL (TF)", "ReGL (FT)")
    )
    # Three images of each of ten classes; guidance takes every step twice, and 1 is none.
    kept = 30 * 3 * 16**2
    assert amounts(vanilla) == {"start": 0.5, "denoised": 240, "decoded": 30, "byte": kept}
    found = amounts(tailored)
    assert found.pop("byte") == pytest.approx(kept, rel=0.2)  # prompts besides
    assert found == {"start": 0.5, "denoised": 120, "decoded": 30}
    assert batches(vanilla) == {"start": 1, "denoised": 40, "decoded": 20, "byte": 1}
    assert batches(tailored)["denoised"] == 20


def test_describing_and_tuning():
    trained = run("ReGL (FT)").stage(PIPELINE)
    tuned, count = trained.synthetic[0][0].tuned, len(trained.parts[0])
    found = amounts(tuned.captioned)
    assert (found["captioned"], found["embedded"], found["feature"]) == (count, count, count)
    # Seven steps of eight images; the features of 30 drawn ones; no prior.
    assert amounts(tuned) == {
        "tuned": 56, "encoded": count, "embedded": 30, "feature": count, "rank": 2,
    }  # fmt: skip
    its = SETTINGS.altered({"lora.prior_share": 0.5})
    with_prior = run("ReGL (FT)").model_copy(update={"settings": its}).stage(PIPELINE)
    found = amounts(with_prior.synthetic[0][0].tuned)
    assert (found["captioned"], found["encoded"]) == (30, count + 30)


def test_training():
    # 100 images, and 3 clients with five synthetic ones of each of 10 classes.
    plain, drawn = (run(name).stage(PIPELINE) for name in ("FedAvg", "ReGL (TF)"))
    assert amounts(plain) == {
        "start": 1, "trained": 100 * 12, "evaluated": 6 * TESTED * 2, "network": 1, "client": 3,
    }  # fmt: skip
    assert amounts(drawn)["trained"] == (100 + 150) * 12
    assert amounts(drawn)["evaluated"] == 6 * TESTED  # its personal models come later
    pooled = run("Centralized", partition=Pooled()).stage(PIPELINE)
    assert amounts(pooled)["trained"] == 100 * 12 and amounts(pooled)["client"] == 1
    trained = next(unit for unit in counts.of(plain) if unit.what == "trained")
    assert trained == Unit("trained", "resnet_small 8", 16, 32)


def test_methods_say_what_they_do_besides():
    training = SETTINGS.training.model_copy(update={"client_fraction": 0.5})
    fedavg, moon = (methods.get(name, {}) for name in ("FedAvg", "MOON"))
    assert counts.passes(fedavg, 100, 10, training) == 100 * 0.5 * 12
    assert counts.passes(moon, 100, 10, training) == pytest.approx(100 * 0.5 * 12 * 5 / 3)
    how = {"trajectory": 4, "segment": 2, "iterations": 10, "inner_steps": 3, "inner_batch": 8}
    dynafed = methods.get("DynaFed", {**how, "images_per_class": 2, "server_epochs": 5})
    # Ten times three steps of eight images, forward and backward and back through both; then, in
    # three of the six rounds, five epochs on two images of ten classes.
    besides = 10 * 3 * 8 * 3 + 3 * 5 * 20
    assert (
        counts.passes(dynafed, 100, 10, training)
        == counts.passes(fedavg, 100, 10, training) + besides
    )
    assert (
        counts._held(fedavg, 10, training) == 32
        and counts._held(dynafed, 10, training) == 3 * 8 * 2
    )


def test_what_comes_after_training():
    personal = run("ReGL (TF)", PersonalRun).stage(PIPELINE)
    assert amounts(personal) == {"trained": 9 * 250, "evaluated": 9 * TESTED}
    found = amounts(run("FedAvg", UpdateRun).stage(PIPELINE))
    assert (found["trained"], found["evaluated"]) == (100 * 2, 4 * TESTED)
    distance = run("ReGL (TF)", DistanceRun).stage(PIPELINE)
    embedded = [amounts(need) for need in distance.needs()]
    assert [it["embedded"] for it in embedded] == [100] + [30] * 6


def test_distances_take_time_for_every_pair_of_images():
    """At `paper` 13,000 real and 65,000 synthetic ones: minutes, not half a second."""
    stage = run("ReGL (TF)", DistanceRun).stage(PIPELINE)
    few = amounts(stage)
    assert 0.5 < few["start"] < 0.6  # 100 real ones and 90 or 180 synthetic
    half = len(stage.synthetic) // 2
    less = amounts(replace(stage, synthetic=stage.synthetic[:half]))
    real, drawn = 100, 30 * len(stage.synthetic)
    pairs = [real**2 + real * n + n**2 for n in (drawn, 30 * half)]
    ratio = (few["start"] - 0.5) / (less["start"] - 0.5)
    assert ratio == pytest.approx(pairs[0] / pairs[1])


def test_probes_and_attacks():
    trained = run("ReGL (FT)").stage(PIPELINE)
    tailored = trained.synthetic[0][0]
    attacked = amounts(AdapterAttack(tailored.tuned, 5))
    # Members and as many strangers, five noises each, with the adapter and without.
    assert attacked["denoised"] == 2 * 2 * 5 * len(trained.parts[0])
    judge = Judge(trained.source, SETTINGS.training, SETTINGS.probe, 0)
    epochs = SETTINGS.probe.epochs
    assert amounts(judge)["trained"] == 1797 * epochs
    assert amounts(Probed(judge, tailored))["trained"] == 30 * epochs


def test_no_guidance_is_half_of_the_passes():
    with_it, without = (sampled(SETTINGS.foundation, 10, 4, weight, 5) for weight in (2.0, 1.0))
    found = {unit.what: (amount, unit.batch) for unit, amount in with_it.items()}
    assert found == {"denoised": (80, 10), "decoded": (10, 5)}
    assert {unit.what: unit.batch for unit in without} == {"denoised": 5, "decoded": 5}
    assert sum(without.values()) == 50


def test_works_add_up():
    assert total({START: 1, BYTE: 2}, {BYTE: 3}, {}) == {START: 1, BYTE: 5}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """The results of `RUNS`."""
    store = Store(tmp_path_factory.mktemp("store"))
    run_stages([it.stage(PIPELINE) for it in RUNS], store, workers=1, progress=False)
    return store


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.name != "entry.json")


RUNS = run("ReGL (FT)"), run("FedAvg", UpdateRun), run("ReGL (FT)", DistanceRun)
KINDS = (
    "Vanilla",
    "Captioned",
    "Tuned",
    "LoraImages",
    "Trained",
    "Updated",
    "Embedded",
    "Distance",
)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_is_about_what_was_said(store, kind):
    """Within a tenth and the 20 kB that names and headers take."""
    stages = closure(it.stage(PIPELINE) for it in RUNS).values()
    own = [stage for stage in stages if stage.kind == kind]
    assert own
    for stage in own:
        assert disk(counts.of(stage)) == pytest.approx(size(store.path(stage)), rel=0.1, abs=2e4)


def test_an_outline_builds_the_same_stages(tmp_path):
    outline = Outline(tmp_path)
    for method in ("FedAvg", "ReGL (FT)"):
        planned, real = run(method).stage(outline), run(method).stage(PIPELINE)
        assert planned.key == real.key and counts.of(planned) == counts.of(real)
    assert outline.notes == outline.lacking == [] and outline.unpacked == {}


def test_every_kind_of_stage_is_counted():
    import regl_core.evidence.probed
    import regl_core.privacy.neighbours
    import regl_core.privacy.update_attack  # noqa: F401

    def below(kind):
        return [kind, *(it for own in kind.__subclasses__() for it in below(own))]

    own = [it for it in below(Stage)[1:] if it.__module__.startswith("regl_core.")]
    assert len(own) >= 16
    assert all({kind.__name__ for kind in it.__mro__} & counts.COUNTS.keys() for it in own)
