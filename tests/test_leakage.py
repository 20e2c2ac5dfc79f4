"""What is given away: the measures by hand, and that they see copies and members where they are."""

import json
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from regl_core import foundation, tuning
from regl_core.data import Split
from regl_core.params import load
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.privacy import ImageCopying, leakage
from regl_core.privacy.adapter_attack import denoising_losses
from regl_core.stages.vanilla_images import save_images

SMOKE = load("smoke")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def images(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, 3, 16, 16), generator=generator, dtype=torch.uint8)


def test_distances_by_hand():
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.6, 0.8], [1.0, 0.0]])
    torch.testing.assert_close(
        leakage.cosine_distances(one, other).float(), torch.tensor([[1.0, 0.4, 0.0]])
    )
    black, white = torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.full((1, 3, 2, 2), 255)
    half = torch.cat([black, white.byte()], dim=3)  # every second pixel is white
    found = leakage.pixel_distances(torch.cat([black, black], dim=3), half)
    assert found.item() == pytest.approx(255 / 2**0.5)
    many = images(40)  # a copy is at zero even among many
    assert torch.equal(leakage.pixel_distances(many, many).diagonal(), torch.zeros(40))


def test_nearer_than_a_share_of_real_images():
    held_out = torch.arange(1.0, 102.0)  # 5 % of them lie below 6
    made = torch.tensor([0.5, 5.9, 6.1, 200.0])
    assert leakage.nearer(made, held_out, 0.05).tolist() == [True, True, False, False]
    assert leakage.nearer(made, held_out, 0.01).tolist() == [True, False, False, False]


@given(
    own=st.lists(st.integers(0, 40).map(lambda n: 2.0 * n), min_size=1, max_size=4),
    held_out=st.lists(st.integers(0, 40).map(lambda n: 2.0 * n + 1), min_size=1, max_size=6),
)
def test_the_chance_that_an_own_image_is_first_is_that_over_all_choices(own, held_out):
    few = min(len(own), len(held_out))
    pairs = [(a, b) for a in combinations(own, few) for b in combinations(held_out, few)]
    expected = sum(min(a) < min(b) for a, b in pairs) / len(pairs)
    found = leakage.own_first(torch.tensor([own]), torch.tensor([held_out]))
    assert found.item() == pytest.approx(expected)


def test_separability_by_hand():
    """Of 4 × 4 pairs members win 4 + 3 + 3 + 1; with one stranger passing, three members do."""
    members, strangers = torch.tensor([9.0, 6.0, 5.0, 2.0]), torch.tensor([7.0, 4.5, 3.0, 1.0])
    assert leakage.separability(members, strangers, 0.05) == (11 / 16, 0.25)
    assert leakage.separability(members, strangers, 0.25) == (11 / 16, 0.75)
    assert leakage.separability(members, strangers, 0.75) == (11 / 16, 1.0)
    assert leakage.separability(strangers, members, 0.05)[0] == 5 / 16
    auc, rate = leakage.separability(drawn(4000), drawn(4000, seed=1), 0.05)  # says nothing
    assert auc == pytest.approx(0.5, abs=0.02) and rate == pytest.approx(0.05, abs=0.02)


def test_members_and_strangers_are_as_many_of_each_class_and_each_once():
    labels = [0, 0, 0, 2, 2, 5], [0, 0, 2, 2, 2, 2, 3]
    both = [Split(images(len(its), n), torch.tensor(its)) for n, its in enumerate(labels)]

    def pairs(own: Split) -> set[tuple[bytes, int]]:
        names = (image.numpy().tobytes() for image in own.images)
        return set(zip(names, own.labels.tolist(), strict=True))

    for seed in range(5):
        for own, of in zip(leakage.balanced(*both, seed), both, strict=True):
            assert sorted(own.labels.tolist()) == [0, 0, 2, 2]
            assert len(pairs(own)) == 4 and pairs(own) <= pairs(of)


@pytest.fixture(scope="module")
def tiny() -> foundation.Foundation:
    return foundation.load(SMOKE.foundation)


def test_the_attack_finds_images_that_were_learnt_by_heart(tiny, tmp_path):
    dataset = Pipeline().source("digits", SMOKE)[1]
    chosen = torch.arange(0, 6, 2)
    members, strangers = dataset.train.images[chosen], dataset.test.images[:8]
    both, prompts = torch.cat([members, strangers]), ["A photo of a digit"] * 11
    lesson = tuning.Lesson(members, prompts[:3], None)
    hard = {"steps": 300, "rate": 3e-3, "rank": 16, "alpha": 16.0, "batch_size": 3}
    tuning.tune(tiny, lesson, None, SMOKE.lora.model_copy(update=hard), tmp_path, (0, "heart"))
    without = denoising_losses(tiny, both, prompts, 8, (0, "x"))
    with tuning.with_adapter(tiny, tmp_path, 1.0):
        scores = without - denoising_losses(tiny, both, prompts, 8, (0, "x"))
    auc, rate = leakage.separability(scores[:3], scores[3:], 0.05)
    assert auc > 0.9 and rate > 0.5
    # Before the tuning the same images could not be told apart so well.
    assert leakage.separability(-without[:3], -without[3:], 0.05)[0] < 0.85


def test_an_images_loss_depends_on_the_seed_and_not_on_its_company(tiny):
    shown, prompts = images(70), [f"A photo of {n}" for n in range(70)]
    every = denoising_losses(tiny, shown, prompts, 2, (0, "x"))
    assert every.shape == (70,) and every.dtype == torch.float32
    few = denoising_losses(tiny, shown[60:], prompts[60:], 2, (0, "x"))
    torch.testing.assert_close(few, every[60:])
    assert not torch.equal(denoising_losses(tiny, shown, prompts, 2, (1, "x")), every)


@pytest.mark.parametrize("copied", [True, False])
def test_neighbours_of_copies_and_of_real_images_never_seen(copied, tmp_path):
    """The drawn images are training images of the client, or test images."""
    item = ImageCopying(
        way="", dataset="digits", partition=Dirichlet(beta=0.5, clients=3), seed=0, client=0,
        settings=SMOKE,
    )  # fmt: skip
    stage = item.stage(Pipeline())
    dataset, own = stage.real.source.load(), list(stage.indices)
    train, test = dataset.train, dataset.test
    source = train.subset(torch.tensor(own)) if copied else test
    made = torch.zeros(10, 2, 3, 16, 16, dtype=torch.uint8)
    for k in train.labels[own].unique():
        mine = source.images[source.labels == k]
        made[k] = mine[torch.arange(2) % len(mine)]
    folders = [tmp_path / name for name in ("real", "test", "made", "images", "out")]
    for folder in folders:
        folder.mkdir()

    def flat(images: Tensor) -> Tensor:
        return torch.nn.functional.normalize(images.flatten(-3).float() + 1, dim=-1)

    for folder, shown in zip(folders, (train.images, test.images, made), strict=False):
        save_file({"features": flat(shown)}, folder / "features.safetensors")
    save_images(folders[3], made.flatten(0, 1), 10)
    stage.compute(folders[4], tuple(folders[:4]), lambda fraction: None)
    found = json.loads((folders[4] / "neighbours.json").read_text())
    assert found.keys() == {"features", "pixels"}
    for measures in found.values():
        assert measures["held_out"] > 0
        if copied:
            assert measures["made"] == pytest.approx(0, abs=1e-6)
            assert measures["nearer_1_pct"] == measures["nearer_5_pct"] == 100
            assert measures["own_first_pct"] == 100
        else:
            assert measures["made"] > 0 and measures["nearer_1_pct"] < 20
            assert 20 < measures["own_first_pct"] < 80
