"""Controls do ReGL's work without its images: as many, as many steps, as many epochs."""

import torch

from regl_core.params import load
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.runs import PersonalRun, Run
from regl_core.stages import Personalized, Trained

CHANGES = {"datasets.digits.clients": 4, "personalization.epochs": 7, "training.local_epochs": 3}
SETTINGS = load("smoke", CHANGES)


def staged(method, kind=Run, beta=0.01, seed=2):
    run = kind(
        dataset="digits",
        partition=Dirichlet(beta=beta, clients=4),
        method=method,
        seed=seed,
        settings=SETTINGS,
    )
    return run.stage(Pipeline())


def test_real_images_are_repeated_in_turn_until_they_are_as_many_as_regls():
    control, regl = staged("FedAvg (same steps)"), staged("ReGL (TF)")
    assert control.parts == regl.parts and not control.needs()
    data = control.source.load()
    clients = control.clients(data, ())
    besides = len(data.classes) * SETTINGS.datasets["digits"].synthetic_per_class
    assert {len(part) > 0 for part in control.parts} == {True, False}  # some own nothing
    for own, part in zip(clients, control.parts, strict=True):
        assert len(own) == (len(part) + besides if part else 0)
        repeated = [part[k % len(part)] for k in range(len(own))]
        assert torch.equal(own.images[:], data.train.images[repeated])
        assert torch.equal(own.labels, data.train.labels[repeated])
    assert control.count() == sum(map(len, clients))


def test_fine_tuning_follows_a_federation_on_real_images_alone():
    control = staged("FedAvg (fine-tuned)", PersonalRun)
    assert isinstance(control, Personalized)
    assert control.settings == staged("ReGL (TF)", PersonalRun).settings
    assert control.trained.synthetic == () and control.trained.count() == sum(
        map(len, control.trained.parts)
    )


def test_separate_trains_for_the_epochs_of_the_rounds_and_of_fine_tuning():
    control, plain = staged("Separate (same epochs)", PersonalRun), staged("Separate", PersonalRun)
    assert isinstance(control, Trained)
    assert control.training.rounds == plain.training.rounds + 3  # 7 epochs are 3 rounds of 3
    assert control.training.model_copy(update={"rounds": plain.training.rounds}) == plain.training
