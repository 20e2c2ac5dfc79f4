"""Synthetic images come in pieces: how many, which are used, and what smaller numbers share."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regl_core.engine import Store
from regl_core.params import Settings, load
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.runs import Run
from regl_core.stages import LoraImages, Trained, Vanilla, load_images
from regl_core.stages.vanilla_images import save_images

SMOKE = load("smoke")
DRAWN = ("ReGL (TF)", "ReGL (FT)")
PIPELINE = Pipeline()
NUMBERS = st.integers(1, 12)


def settings(count: int, per_stage: int, base: Settings = SMOKE) -> Settings:
    changes = {"datasets.digits.synthetic_per_class": count, "synthesis.per_stage": per_stage}
    return base.altered(changes)


def trained(method: str, count: int, per_stage: int) -> Trained:
    skewed = Dirichlet(beta=0.5, clients=3)
    its = settings(count, per_stage)
    run = Run(dataset="digits", partition=skewed, method=method, seed=0, settings=its)
    return run.stage(PIPELINE)


def written(folder: Path, stage: Trained) -> tuple[Path, ...]:
    """The folders of the pieces: image i of class k of client c is grey 80 c + 8 k + i, i < 8."""
    folders = []
    for client, pieces in enumerate(stage.synthetic):
        for piece in pieces:
            n = piece.count() // 10
            grey = 80 * client + 8 * torch.arange(10)[:, None] + piece.start + torch.arange(n)
            images = grey.to(torch.uint8).flatten()[:, None, None, None].expand(-1, 3, 16, 16)
            path = folder / f"{client}-{piece.start}"
            path.mkdir(parents=True)
            save_images(path, images.contiguous(), 10)
            folders.append(path)
    return tuple(folders)


def drawn(folder: Path, stage: Trained) -> list[torch.Tensor]:
    """The greys (10, n) of the synthetic images that each client trains on."""
    dataset = stage.source.load()
    found = []
    for own, part in zip(stage.clients(dataset, written(folder, stage)), stage.parts, strict=True):
        images, labels = own.images[len(part) :], own.labels[len(part) :]
        assert torch.equal(own.labels[: len(part)], dataset.train.labels[list(part)])
        assert labels.tolist() == sorted(labels.tolist())
        greys = images.double().mean(dim=(1, 2, 3))
        found.append(greys.round().int().unflatten(0, (10, -1)))
    return found


@pytest.mark.parametrize("method", DRAWN)
def test_eight_images_of_pieces_of_three_begin_with_those_of_four_cut_short(method, tmp_path):
    few, many = (drawn(tmp_path / str(count), trained(method, count, 3)) for count in (4, 8))
    for client, (one, other) in enumerate(zip(few, many, strict=True)):
        expected = 80 * client + 8 * torch.arange(10)[:, None] + torch.arange(8)
        assert torch.equal(other, expected.int()) and torch.equal(one, other[:, :4])


@pytest.mark.parametrize("method", DRAWN)
@given(few=NUMBERS, more=NUMBERS, per_stage=NUMBERS)
def test_numbers_share_their_pieces_and_no_more_are_made_than_needed(method, few, more, per_stage):
    few, many = sorted((few, more))
    one, other = trained(method, few, per_stage), trained(method, many, per_stage)
    for mine, theirs in zip(one.synthetic, other.synthetic, strict=True):
        assert len(mine) == -(-few // per_stage) and len(theirs) == -(-many // per_stage)
        assert [piece.key for piece in mine] == [piece.key for piece in theirs[: len(mine)]]
    assert (one.key == other.key) == (few == many)


def test_no_image_asked_for_is_no_piece():
    assert trained("ReGL (FT)", 0, 3).synthetic == ()
    assert trained("FedAvg", 5, 3).synthetic == ()


def test_all_pieces_of_a_client_are_of_one_tuned_model():
    for pieces in trained("ReGL (FT)", 5, 2).synthetic:
        assert len(pieces) == 3 and all(isinstance(piece, LoraImages) for piece in pieces)
        assert len({piece.tuned.key for piece in pieces}) == 1


def near(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal but for rounding to 8 bits, where batches of another size sum in another order."""
    return one.shape == other.shape and (one.int() - other.int()).abs().max() <= 1


def test_pieces_drawn_by_the_models_continue_each_other(tmp_path):
    store = Store(tmp_path)

    def images(stage: Vanilla | LoraImages) -> torch.Tensor:
        return load_images(store.ensure(stage))

    first, second = (images(piece) for piece in trained("ReGL (TF)", 4, 2).synthetic[0])
    whole = images(trained("ReGL (TF)", 4, 4).synthetic[0][0])
    assert first.shape == (10, 2, 3, 16, 16) and not near(first, second)
    assert near(torch.cat([first, second], dim=1), whole)

    first, second = (images(piece) for piece in trained("ReGL (FT)", 4, 2).synthetic[0])
    assert first.shape == second.shape == (10, 2, 3, 16, 16) and not near(first, second)
    (alone,) = trained("ReGL (FT)", 2, 2).synthetic[0]
    again = load_images(Store(tmp_path / "other").ensure(alone))
    assert torch.equal(again, first)


def test_a_shared_pool_is_drawn_once_for_all_clients_and_alters_no_tuned_image():
    skewed = Dirichlet(beta=0.5, clients=3)
    its = settings(5, 3).altered({"vanilla_pool": "shared"})

    def synthetic(method: str, chosen: Settings):
        run = Run(dataset="digits", partition=skewed, method=method, seed=0, settings=chosen)
        return run.stage(PIPELINE).synthetic

    tf, alone = synthetic("ReGL (TF)", its), synthetic("ReGL (TF)", settings(5, 3))
    assert set(tf) == {alone[0]} and len(set(alone)) == 3
    assert synthetic("ReGL (FT)", its) == synthetic("ReGL (FT)", settings(5, 3))
