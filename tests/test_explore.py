"""The interactive notebook's widgets, driven from Python."""

import io
import json
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image

from regl_core import params
from regl_core.data import Split
from regl_core.engine.store import Store
from regl_core.errors import ReglError
from regl_core.explore import Board, attended, mosaic, pictures, try_out
from regl_core.explore.choice import Choice, betas
from regl_core.explore.job import Job
from regl_core.partition import IID, Dirichlet, counts
from regl_core.pipeline import Pipeline
from regl_core.runs import Run

SETTINGS = params.load("smoke")
BROKEN = "two and two is five"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One for all tests here: what one of them has computed the next one finds."""
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def board(store):
    board = Board(SETTINGS, store, workers=2)
    yield board
    board.job.stop()
    with suppress(ReglError):
        board.job.wait()


def until(true, seconds=120.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)


def test_a_choice_means_the_partition_that_tables_use():
    skewed = Choice(beta=0.5, clients=3, at_least=0, seed=1)
    assert skewed.partition == Dirichlet(beta=0.5, clients=3)
    assert str(skewed) == "β = 0.5, 3 clients, seed 1"
    even = Choice(beta=None, clients=3, at_least=0, seed=1)
    assert even.partition == IID(clients=3)
    assert str(even) == "IID, 3 clients, seed 1"
    stops = betas((0.01, 0.25))
    assert stops[0] == 0.01 and stops[-1] == 10 and 0.25 in stops
    assert list(stops) == sorted(set(stops))


def test_counts_by_hand():
    train = Split(torch.zeros(5, 3, 2, 2, dtype=torch.uint8), torch.tensor([0, 2, 2, 1, 0]))
    parts = (torch.tensor([1, 2, 4]), torch.tensor([], dtype=torch.int64), torch.tensor([0, 3]))
    assert counts(train.labels, parts, 3).tolist() == [[1, 0, 2], [0, 0, 0], [1, 1, 0]]


def test_a_row_of_images_by_hand():
    white, red = torch.full((3, 2, 2), 255), torch.zeros(3, 2, 2)
    red[0] = 200
    png = mosaic.row(torch.stack([white, red]).to(torch.uint8))
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert pixels.shape == (mosaic.SIDE, 2 * (mosaic.SIDE + mosaic.GAP), 3)
    assert (pixels[:, : mosaic.SIDE + mosaic.GAP] == 255).all()
    assert (pixels[:, mosaic.SIDE + mosaic.GAP : -mosaic.GAP] == (200, 0, 0)).all()


def test_it_opens_on_the_partition_of_the_settings(board):
    its = SETTINGS.datasets["digits"]
    assert board.skew.choice == Choice(
        beta=SETTINGS.betas[0], clients=its.clients, at_least=0, seed=SETTINGS.seeds[0]
    )
    assert board.skew.counts.sum() == 10 * its.train_per_class


def test_every_slider_changes_what_is_drawn(board):
    skew, seen = board.skew, []

    def now():
        seen.append((None if skew.counts is None else skew.counts.tolist(), skew.picture.value))
        assert seen.count(seen[-1]) == 1

    now()
    skew.beta.value = 0.01
    now()
    skew.clients.value = 6
    assert skew.counts.shape == (6, 10)
    now()
    skew.seed.value += 1
    now()
    picture = skew.picture.value
    skew.client.value = 5
    assert skew.picture.value != picture
    skew.clients.value = 2  # client 5 is there no longer
    assert (skew.client.value, skew.client.max) == (1, 1)
    now()
    skew.beta.value = float("inf")
    assert skew.counts.sum(axis=1).tolist() == [30, 30]
    assert skew.at_least.disabled


def test_each_move_is_drawn_once(board, monkeypatch):
    drawn = []
    monkeypatch.setattr(pictures, "partition", lambda *what: drawn.append(what) or b"")
    board.skew.client.value = 2
    board.skew.clients.value = 2  # moves the slider of the client as well
    assert len(drawn) == 2


def test_an_impossible_partition_is_told_in_words(board):
    skew = board.skew
    skew.clients.value, skew.at_least.value = 20, 20
    assert "lower clients" in skew.words.value and skew.parts is None
    assert skew.picture.layout.visibility == "hidden"
    for part in (board.race, board.gallery):
        part.go.click()
        assert "lower clients" in part.refusal.value
    assert not board.job.busy
    skew.at_least.value = 0
    assert "60 real images" in skew.words.value and skew.parts is not None
    assert skew.picture.layout.visibility == "visible"


def test_buttons_from_the_first_click_to_the_last_image(board, store):
    race, gallery = board.race, board.gallery
    assert set(gallery.shown) == {"real"}
    grown = []
    race.picture.observe(lambda change: grown.append(dict(race.curves)), "value")
    race.go.click()
    assert board.job.busy and not race.stop.disabled
    gallery.go.click()
    race.go.click()
    assert "still going on" in gallery.refusal.value and "still going on" in race.refusal.value
    board.skew.beta.value = 10.0  # the run goes on with the partition that it began with
    board.job.wait()
    assert race.stop.disabled and not race.refusal.value
    rounds = SETTINGS.training.rounds
    assert {name: len(curve) for name, curve in race.curves.items()} == {
        "FedAvg": rounds,
        "ReGL (TF)": rounds,
    }
    assert "points" in race.words.value
    lengths = [len(curves["FedAvg"]) for curves in grown]
    assert lengths == sorted(lengths) and lengths[0] == 0 and lengths[-1] == rounds
    run = Run(
        dataset="digits",
        partition=Dirichlet(beta=SETTINGS.betas[0], clients=3),
        method="ReGL (TF)",
        seed=SETTINGS.seeds[0],
        settings=SETTINGS,
    )
    stage = run.stage(Pipeline())  # the very one of the tables
    assert (
        tuple(json.loads((store.path(stage) / "accuracy.json").read_text()))
        == (race.curves["ReGL (TF)"])
    )

    board.skew.beta.value = SETTINGS.betas[0]
    assert set(gallery.shown) == {"real", "TF"}  # drawn for the race
    gallery.go.click()
    board.job.wait()
    assert set(gallery.shown) == {"real", "TF", "FT"}
    first = {row: images.clone() for row, images in gallery.shown.items()}
    gallery.of_class.value = 1
    assert not any(torch.equal(first[row], gallery.shown[row]) for row in ("real", "TF", "FT"))
    assert len(gallery.shown["real"]) == board.skew.counts[0, 1]
    gallery.whose.value = "of all clients"
    assert len(gallery.shown["real"]) == board.skew.counts[:, 1].sum()

    entries = sorted(store.root.glob("*/*/*/entry.json"))
    table = try_out(board)  # finds all of it
    assert sorted(store.root.glob("*/*/*/entry.json")) == entries
    assert table["FedAvg"].tolist() == list(race.curves["FedAvg"])


def test_a_client_without_images_draws_with_the_model_as_it_is(board):
    skew, gallery = board.skew, board.gallery
    skew.beta.value, skew.clients.value = 0.01, 20
    skew.client.value = int(np.flatnonzero(skew.counts.sum(axis=1) == 0)[0])
    free, tuned = gallery._stages()
    assert free == tuned
    assert "owns no image to tune on" in gallery.rows["FT"][0].value
    assert gallery.rows["real"][1].layout.visibility == "hidden"


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


class Ear:
    """Notes what it hears."""

    def __init__(self):
        self.heard = []

    def begun(self):
        self.heard.append("begun")

    def watched(self, fraction, running):
        self.heard.append("watched")

    def ended(self, error):
        self.heard.append(error)


def test_a_job_can_be_stopped_and_refuses_a_second_one(tmp_path):
    from toy_stages import Logged

    job, log, ear = Job(Store(tmp_path / "store"), workers=1), tmp_path / "log", Ear()
    hang = tmp_path / "log.hang"
    hang.touch()
    job.start("The first", [Logged(str(log), "a")], ear)
    with pytest.raises(ReglError, match="The first is still going on"):
        job.start("The second", [Logged(str(log), "b")], Ear())
    until(lambda: log.exists())
    assert job.busy and threading.current_thread() is threading.main_thread()
    job.stop()
    job.wait()
    assert not job.busy and not job.store.has(Logged(str(log), "a"))
    assert ear.heard[0] == "begun" and type(ear.heard[-1]).__name__ == "Stopped"
    hang.unlink()
    job.start("The first", [Logged(str(log), "a")], Ear())
    job.wait()
    assert job.store.has(Logged(str(log), "a"))


def test_an_error_appears_in_words(board, monkeypatch):
    from toy_stages import Broken

    monkeypatch.setattr(board.race, "asked", lambda: ("A defect", [Broken("defect")]))
    monkeypatch.setattr(board.race, "begun", lambda: None)
    board.race.go.click()
    with pytest.raises(ReglError, match=BROKEN):
        board.job.wait()
    assert BROKEN in board.race.words.value


def test_a_test_is_not_attended():
    assert not attended()
