import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from regl_core import data, datasets
from regl_core.clients import pixels
from regl_core.errors import ReglError
from regl_core.params import DatasetSettings


def settings(**changes) -> DatasetSettings:
    usual = dict(clients=5, synthetic_per_class=30, train_per_class=30, image_side=16)
    usual |= dict(split_seed=0, validation_share=0.0, root=None, published=None)
    usual |= dict(class_list=None, complete=True)
    return DatasetSettings(**{**usual, **changes})


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return datasets.load("digits", settings())


def test_digits_have_the_promised_shapes_and_types(digits):
    assert len(digits.classes) == 10 and digits.classes[3] == "three"
    assert len(digits.train) == 300 and len(digits.test) == 1797 - 300
    for split in (digits.train, digits.test):
        assert split.images.shape == (len(split), 3, 16, 16) and split.images.dtype == torch.uint8
        assert split.labels.shape == (len(split),) and split.labels.dtype == torch.int64
    assert digits.train.labels.bincount().tolist() == [30] * 10


def test_training_and_test_set_hold_every_image_once():
    digits = datasets.load("digits", settings(image_side=8))
    grey = torch.cat([digits.train.images, digits.test.images])[:, 0].flatten(1)
    raw = torch.from_numpy(np.round(load_digits().data * 255 / 16)).to(torch.uint8)
    assert sorted(grey.tolist()) == sorted(raw.tolist())


def test_labels_stay_with_their_images():
    digits = datasets.load("digits", settings(image_side=8))
    raw = load_digits()
    known = {}
    for image, label in zip(np.round(raw.data * 255 / 16).astype(int), raw.target, strict=True):
        known.setdefault(tuple(image), set()).add(int(label))
    for split in (digits.train, digits.test):
        for image, label in zip(split.images[:, 0].flatten(1).tolist(), split.labels, strict=True):
            assert int(label) in known[tuple(image)]


def test_enlarging_is_bilinear_and_grey_becomes_rgb(digits):
    small = datasets.load("digits", settings(image_side=8)).train.images
    large = digits.train.images
    assert torch.equal(large[:, 0], large[:, 1]) and torch.equal(large[:, 0], large[:, 2])
    # Two times larger: the corners stay, and the mean of each 2 × 2 block is near its pixel.
    assert torch.equal(large[..., 0, 0], small[..., 0, 0])
    assert large.float().mean() == pytest.approx(small.float().mean().item(), rel=0.01)
    between = 0.75 * small[..., 0, 3].double() + 0.25 * small[..., 0, 4].double()
    assert (between - large[..., 0, 7]).abs().max() <= 1


@pytest.mark.parametrize("side", [8, 16, 24, 32])
def test_any_multiple_of_eight_is_a_side(side):
    assert datasets.load("digits", settings(image_side=side)).train.images.shape[-1] == side


def test_the_split_follows_its_seed_alone(digits):
    np.random.seed(1)
    torch.manual_seed(1)
    again, other = (
        datasets.load("digits", settings()),
        datasets.load("digits", settings(split_seed=1)),
    )
    assert again.digest == digits.digest
    assert torch.equal(again.train.images, digits.train.images)
    assert other.digest != digits.digest


def test_a_larger_training_set_contains_the_smaller(digits):
    larger = datasets.load("digits", settings(train_per_class=31)).train.images.flatten(1).tolist()
    smaller = digits.train.images.flatten(1).tolist()
    assert {tuple(image) for image in smaller} <= {tuple(image) for image in larger}


def test_the_digest_sees_images_labels_and_names(digits):
    def alter(**changes):
        fields = dict(name="digits", classes=digits.classes, train=digits.train, test=digits.test)
        return data.Dataset(**{**fields, **changes}).digest

    image = digits.train.images.clone()
    image[0, 0, 0, 0] ^= 1
    label = digits.test.labels.clone()
    label[-1] = (label[-1] + 1) % 10
    assert alter() == digits.digest and len(digits.digest) == 64
    digests = {
        alter(),
        alter(train=data.Split(image, digits.train.labels)),
        alter(test=data.Split(digits.test.images, label)),
        alter(classes=(*digits.classes[:-1], "neuf")),
    }
    assert len(digests) == 4


def test_pixels_are_scaled_by_fixed_numbers():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 3, 1, 1)
    found = pixels(images)
    assert found.dtype == torch.float32
    assert found.flatten().tolist() == pytest.approx([-1.0, -0.6, 1.0])
    assert pixels(found) is found


def test_a_subset_is_a_copy_in_the_order_asked(digits):
    part = digits.train.subset(torch.tensor([7, 2]))
    assert torch.equal(part.images[1], digits.train.images[2])
    assert part.labels.tolist() == digits.train.labels[[7, 2]].tolist()
    before = digits.train.images[7].clone()
    part.images.zero_()
    assert torch.equal(digits.train.images[7], before)


def test_an_empty_subset_is_a_split(digits):
    empty = digits.train.subset(torch.empty(0, dtype=torch.int64))
    assert len(empty) == 0 and pixels(empty.images).shape == (0, 3, 16, 16)


@pytest.mark.parametrize("count", [174, 1000, None])
def test_each_class_keeps_a_test_image(count):
    with pytest.raises(ReglError, match=r"digits\.train_per_class: given .* at most 173"):
        datasets.load("digits", settings(train_per_class=count))


def test_the_largest_training_set_leaves_one_image():
    largest = datasets.load("digits", settings(train_per_class=173))
    assert largest.test.labels.bincount().min() == 1


def test_a_folder_for_the_digits_is_refused():
    with pytest.raises(ReglError, match=r"datasets\.digits\.root"):
        datasets.load("digits", settings(root="/data"))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ReglError, match=r"'digit' is unknown \(did you mean digits\?\).*digits"):
        datasets.load("digit", settings())


@pytest.mark.parametrize("changes", [{"image_side": 12}, {"clients": 0}, {"train_per_class": 0}])
def test_wrong_settings_name_the_key(changes):
    with pytest.raises(ReglError, match=next(iter(changes))):
        settings(**changes)


def test_resized_keeps_what_fits_and_averages_what_does_not():
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    images[1] = 200
    assert data.resized(images, 16) is images
    smaller = data.resized(images, 8)
    assert smaller.shape == (2, 3, 8, 8)
    assert smaller.dtype == torch.uint8
    assert (smaller[0] == 0).all()
    assert (smaller[1] == 200).all()


def test_validation_takes_from_the_training_set_and_never_sees_the_test_set():
    whole = datasets.load("digits", settings())
    part = datasets.load("digits", settings(validation_share=0.2))
    assert part.test.labels.bincount().tolist() == [6] * 10
    assert part.train.labels.bincount().tolist() == [24] * 10

    def rows(split):
        return {image.numpy().tobytes() for image in split.images}

    assert rows(part.train) | rows(part.test) == rows(whole.train)
    assert not rows(part.train) & rows(part.test)
    assert part.digest != whole.digest
    with pytest.raises(ReglError, match=r"digits.validation_share: given 0\.99"):
        datasets.load("digits", settings(validation_share=0.99))
