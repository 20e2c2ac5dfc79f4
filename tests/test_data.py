"""The digits, and what every data set as a value can do: cuts, subsets, digests."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from toy_datasets import settings

from regl_core import data, datasets
from regl_core.clients import pixels
from regl_core.errors import ReglError


def digits(**changes) -> data.Dataset:
    return datasets.load("digits", settings(None, **{"train_per_class": 30, **changes}))


@pytest.fixture(scope="module")
def usual() -> data.Dataset:
    return digits(image_side=16)


def grey(split: data.Split) -> list[tuple[int, ...]]:
    return [tuple(image) for image in split.images[:, 0].flatten(1).tolist()]


def test_every_digit_stands_once_with_its_label():
    found, raw = digits(image_side=8), load_digits()
    assert len(found.classes) == 10 and found.classes[3] == "three"
    assert found.train.labels.bincount().tolist() == [30] * 10
    assert len(found.test) == 1797 - 600 - 300
    images = np.round(raw.data * 255 / 16).astype(int).tolist()
    expected = [(tuple(it), label) for it, label in zip(images, raw.target.tolist(), strict=True)]
    both = [
        row
        for split in (found.train, found.test)
        for row in zip(grey(split), split.labels.tolist(), strict=True)
    ]
    kept = digits(image_side=8, validation_share=0.2)
    both += [
        row
        for split in (kept.train, kept.test)
        for row in zip(grey(split), split.labels.tolist(), strict=True)
    ]
    assert sorted(both) == sorted(expected)


@pytest.mark.parametrize("side", [8, 16, 24])
def test_any_multiple_of_eight_is_a_side(side):
    found = digits(image_side=side)
    for split in (found.train, found.test):
        assert split.images.shape == (len(split), 3, side, side)
        assert (split.images.dtype, split.labels.dtype) == (torch.uint8, torch.int64)


def test_enlarging_is_bilinear_and_grey_becomes_rgb(usual):
    small, large = digits(image_side=8).train.images, usual.train.images
    assert torch.equal(large[:, 0], large[:, 1]) and torch.equal(large[:, 0], large[:, 2])
    # Two times larger: the corners stay, and the mean of each 2 × 2 block is near its pixel.
    assert torch.equal(large[..., 0, 0], small[..., 0, 0])
    assert large.float().mean() == pytest.approx(small.float().mean().item(), rel=0.01)
    between = 0.75 * small[..., 0, 3].double() + 0.25 * small[..., 0, 4].double()
    assert (between - large[..., 0, 7]).abs().max() <= 1


def test_the_split_follows_its_seed_alone(usual):
    np.random.seed(1)
    torch.manual_seed(1)
    again, other = (digits(image_side=16, split_seed=seed) for seed in (0, 1))
    assert again.digest == usual.digest and torch.equal(again.train.images, usual.train.images)
    assert other.digest != usual.digest


def test_a_larger_training_set_contains_the_smaller(usual):
    larger = digits(image_side=16, train_per_class=31)
    assert {*grey(usual.train)} <= {*grey(larger.train)}


def test_the_digest_sees_images_labels_and_names(usual):
    image, label = usual.train.images.clone(), usual.test.labels.clone()
    image[0, 0, 0, 0] ^= 1
    label[-1] = (label[-1] + 1) % 10
    others = (
        {},
        {"train": data.Split(image, usual.train.labels)},
        {"test": data.Split(usual.test.images, label)},
        {"classes": (*usual.classes[:-1], "neuf")},
    )
    fields = {"classes": usual.classes, "train": usual.train, "test": usual.test}
    digests = [data.Dataset("digits", **{**fields, **changes}).digest for changes in others]
    assert digests[0] == usual.digest and len({*digests}) == 4


def test_pixels_are_scaled_by_fixed_numbers():
    found = pixels(torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 3, 1, 1))
    assert found.dtype == torch.float32
    assert found.flatten().tolist() == pytest.approx([-1.0, -0.6, 1.0])
    assert pixels(found) is found


def test_a_subset_is_a_copy_in_the_order_asked(usual):
    part = usual.train.subset(torch.tensor([7, 2]))
    assert torch.equal(part.images[1], usual.train.images[2])
    assert part.labels.tolist() == usual.train.labels[[7, 2]].tolist()
    before = usual.train.images[7].clone()
    part.images.zero_()
    assert torch.equal(usual.train.images[7], before)
    empty = usual.train.subset(torch.empty(0, dtype=torch.int64))
    assert len(empty) == 0 and pixels(empty.images).shape == (0, 3, 16, 16)


def test_each_class_keeps_a_test_image():
    for count in (174, None):
        with pytest.raises(ReglError, match=r"digits\.train_per_class: given .* at most 113"):
            digits(train_per_class=count)
    assert digits(train_per_class=113).test.labels.bincount().min() == 1


def test_wrong_settings_and_names_are_told():
    with pytest.raises(ReglError, match=r"'digit' is unknown \(did you mean digits\?\).*digits"):
        datasets.load("digit", settings(None))
    for changes in ({"image_side": 12}, {"clients": 0}, {"train_per_class": 0}):
        with pytest.raises(ReglError, match=next(iter(changes))):
            settings(None, **changes)


def test_resized_keeps_what_fits_and_averages_what_does_not():
    images = torch.tensor([0, 200], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 16, 16)
    assert data.resized(images, 16) is images
    assert torch.equal(data.resized(images, 8), images[..., :8, :8])


def test_images_kept_for_choosing_stand_behind_no_table():
    def rows(**changes):
        found = datasets.find("digits", settings(None, train_per_class=10, **changes)).listed()
        train, test = (set(part.rows.tolist()) for part in found.parts)
        assert not train & test and len(train) == 100
        return train, test

    kept = {row for part in rows(validation_share=0.2) for row in part}
    assert len(kept) == 600
    for seed in (0, 1, None):
        train, test = rows(split_seed=seed)
        assert not kept & (train | test) and len(train | test) == 1197
        other, validation = rows(split_seed=seed, validation_share=0.5)
        assert other | validation == kept
    assert rows(split_seed=None) == rows(split_seed=0) != rows(split_seed=1)
