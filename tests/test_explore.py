"""The interactive notebook's widgets, driven from Python."""

import io
import json
import time

import numpy as np
import pytest
import torch
from PIL import Image
from toy_stages import Broken, Logged

from regl_core import params
from regl_core.engine import Store
from regl_core.explore import Board, background, pictures
from regl_core.explore.background import Background, ComputeButton
from regl_core.partition import IID, Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.runs import Run
from regl_core.stages import Captioned, LoraImages, Tuned, Vanilla
from regl_core.stages.vanilla_images import save_images

SETTINGS = params.load("smoke", {"training.local_epochs": 1})


@pytest.fixture
def board(tmp_path):
    return Board(SETTINGS, Store(tmp_path))


def test_a_strip_of_images_by_hand():
    white, red = torch.full((3, 2, 2), 255), torch.zeros(3, 2, 2)
    red[0] = 200
    png = pictures.strip(torch.stack([white, red]).to(torch.uint8))
    pixels, width = np.asarray(Image.open(io.BytesIO(png))), pictures.SIDE + pictures.GAP
    assert pixels.shape == (pictures.SIDE, 2 * width, 3)
    assert (pixels[:, :width] == 255).all()
    assert (pixels[:, width : -pictures.GAP] == (200, 0, 0)).all()


def test_every_slider_changes_what_is_drawn(board, monkeypatch):
    its, skew, seen, drawn = SETTINGS.datasets["digits"], board.skew, [], []
    assert skew.partition == Dirichlet(beta=SETTINGS.betas[0], clients=its.clients)
    assert skew.told == f"β = {SETTINGS.betas[0]}, {its.clients} clients, seed {SETTINGS.seeds[0]}"
    assert skew.counts.sum() == 10 * its.train_per_class
    stops = [value for _, value in skew.beta.options]
    assert stops == sorted(set(stops)) and {*SETTINGS.betas, 0.01, 10.0} < set(stops)
    ownership = pictures.ownership
    monkeypatch.setattr(pictures, "ownership", lambda *what: drawn.append(what) or ownership(*what))

    def now():
        seen.append((skew.counts.tolist(), skew.picture.value))
        assert seen.count(seen[-1]) == 1 and len(drawn) == len(seen) - 1  # each move once

    now()
    skew.beta.value = 0.01
    now()
    skew.clients.value = 6
    assert skew.counts.shape == (6, 10)
    now()
    skew.seed.value += 1
    now()
    skew.client.value = 5
    now()
    skew.clients.value = 2  # client 5 is there no longer
    assert (skew.client.value, skew.client.max) == (1, 1)
    now()
    skew.beta.value = float("inf")
    assert skew.partition == IID(clients=2) and skew.counts.sum(axis=1).tolist() == [30, 30]
    assert skew.told.startswith("IID, 2 clients")


def here(targets, store, workers, progress, watch):
    """As `run_stages`, in this process, in which all is loaded."""
    for stage in targets:
        store.ensure(stage, lambda fraction: watch(fraction, "stages 0/9"))


def noise(stage, folder, inputs, tick):
    """Images of noise in the place of drawn ones, others for each kind and class."""
    draw = torch.Generator().manual_seed(len(stage.kind))
    shown = torch.randint(256, (stage.count(), 3, 16, 16), generator=draw, dtype=torch.uint8)
    save_images(folder, shown, 10)


def nothing(stage, folder, inputs, tick):
    (folder / "nothing").touch()


def test_buttons_from_the_first_click_to_the_last_image(board, monkeypatch):
    monkeypatch.setattr(background, "run_stages", here)
    fakes = {Vanilla: noise, LoraImages: noise, Captioned: nothing, Tuned: nothing}
    for kind, fake in fakes.items():
        monkeypatch.setattr(kind, "compute", fake)
    race, samples, store = board.race, board.samples, board.background.store
    assert set(samples.shown) == {"real"}
    grown = []
    race.picture.observe(lambda change: grown.append(dict(race.curves)), "value")
    race.go.click()
    assert not race.stop.disabled
    for part in (samples, race):
        part.go.click()
        assert "still going on" in part.refusal.value
    board.skew.beta.value = 10.0  # the run goes on with the partition that it began with
    board.background.wait()
    assert race.stop.disabled and not race.refusal.value and "points" in race.words.value
    rounds = SETTINGS.training.rounds
    assert {name: len(curve) for name, curve in race.curves.items()} == {
        "FedAvg": rounds,
        "ReGL (TF)": rounds,
    }
    lengths = [len(curves["FedAvg"]) for curves in grown]
    assert lengths == sorted(lengths) and lengths[0] == 0 and lengths[-1] == rounds
    run = Run(
        dataset="digits",
        partition=Dirichlet(beta=SETTINGS.betas[0], clients=3),
        method="ReGL (TF)",
        seed=SETTINGS.seeds[0],
        settings=SETTINGS,
    )
    result = run.result(store.path(run.stage(Pipeline())))  # the very stage of the tables
    assert result.accuracy == race.curves["ReGL (TF)"]

    board.skew.beta.value = SETTINGS.betas[0]
    assert set(samples.shown) == {"real", "TF"}  # drawn for the race
    samples.go.click()
    board.background.wait()
    assert set(samples.shown) == {"real", "TF", "FT"}
    first = {row: images.clone() for row, images in samples.shown.items()}
    samples.of_class.value = 1
    assert not any(torch.equal(first[row], samples.shown[row]) for row in ("real", "TF", "FT"))
    assert len(samples.shown["real"]) == board.skew.counts[0, 1]
    samples.whose.value = "of all clients"
    assert len(samples.shown["real"]) == board.skew.counts[:, 1].sum()


def test_a_client_without_images_draws_with_the_model_as_it_is(board):
    skew, samples = board.skew, board.samples
    skew.beta.value, skew.clients.value = 0.01, 20
    skew.client.value = int(np.flatnonzero(skew.counts.sum(axis=1) == 0)[0])
    free, tuned = samples.stages()
    assert free == tuned
    assert "owns no image to tune on" in samples.rows["FT"][0].value
    assert samples.rows["real"][1].layout.visibility == "hidden"


def test_accuracies_can_be_read_as_soon_as_a_round_ends(tmp_path):
    run = Run(
        dataset="digits",
        partition=IID(clients=2),
        method="FedAvg",
        seed=0,
        settings=params.load("smoke", {"training.rounds": 3, "training.local_epochs": 1}),
    )
    store, stage, seen = Store(tmp_path), run.stage(Pipeline()), []
    store.ensure(stage, lambda share: seen.append(store.glimpse(stage, "accuracy.json")))
    # A tick follows each client's turn: two of them before the first round has an accuracy.
    lengths = [len(json.loads(text)) if text else 0 for text in seen]
    assert lengths == [0, 0, 1, 1, 2, 2]
    whole = json.loads(store.glimpse(stage, "accuracy.json"))
    assert len(whole) == 3 and json.loads(seen[-1]) == whole[:2]


class Asking(ComputeButton):
    """A button that asks for one stage."""

    def __init__(self, background, stage):
        self.stage = stage
        super().__init__(background, "Go")

    def asked(self):
        return "The first", [self.stage]

    def refresh(self):
        pass

    def outcome(self):
        return "All there"


def test_a_computation_can_be_stopped_and_refuses_a_second_one(tmp_path):
    shared, log = Background(Store(tmp_path / "store"), workers=1), tmp_path / "log"
    first, second = (Asking(shared, Logged(str(log), name)) for name in "ab")
    hang, end = tmp_path / "log.hang", time.monotonic() + 120
    hang.touch()
    first.go.click()
    second.go.click()
    assert "The first is still going on" in second.refusal.value
    while not log.exists():
        assert time.monotonic() < end, "nothing was computed in time"
        time.sleep(0.02)
    first.stop.click()
    shared.wait()
    assert first.words.value.startswith("Stopped.") and not shared.store.has(first.stage)
    hang.unlink()
    first.go.click()
    shared.wait()
    assert shared.store.has(first.stage) and first.words.value.startswith("All there")


def test_an_error_appears_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(background, "run_stages", here)
    button = Asking(Background(Store(tmp_path), workers=1), Broken("defect"))
    button.go.click()
    button._background.wait()
    assert "two and two is five" in button.words.value
