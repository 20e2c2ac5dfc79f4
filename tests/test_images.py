"""Images in files: read like a tensor, joined and cut without a copy, fetched in batches."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_clients import settings

from regl_core import clients as placement
from regl_core.augmentation import augmented
from regl_core.clients import ClientData, pixels
from regl_core.images import Images
from regl_core.models import build
from regl_core.training import Phase, evaluate, local_sgd
from regl_core.weights import Weights

WHOLE = torch.randint(256, (11, 3, 4, 4), dtype=torch.uint8)


def in_file(tmp_path, images):
    path = tmp_path / "images"
    path.write_bytes(images.numpy().tobytes())
    return torch.from_numpy(np.memmap(path, np.uint8, "c", shape=tuple(images.shape)))


@given(st.lists(st.integers(0, 10), max_size=20), st.lists(st.integers(0, 11), max_size=3))
def test_any_order_out_of_any_parts_is_read_as_from_one_tensor(index, cuts):
    bounds = [0, *sorted(cuts), 11]
    parts = [WHOLE[a:b] for a, b in pairwise(bounds)]
    images = Images.joined(parts)
    index = torch.tensor(index, dtype=torch.int64)
    assert len(images) == 11 and images.shape == WHOLE.shape
    assert torch.equal(images[index], WHOLE[index])
    assert torch.equal(images.view(index)[:], WHOLE[index])
    both = Images.joined([images.view(index), WHOLE])
    assert torch.equal(both[:], torch.cat([WHOLE[index], WHOLE]))
    mask = torch.arange(11) % 3 == 0
    assert torch.equal(images[mask], WHOLE[mask])
    assert torch.equal(images.view(mask)[1:3], WHOLE[mask][1:3])


def test_a_view_reads_the_file_and_copies_nothing(tmp_path):
    mapped = in_file(tmp_path, WHOLE)
    view = Images.of(mapped).view([3, 1])
    mapped[3] = 7  # in this process's own copy of the page
    assert (view[[0]] == 7).all()
    assert view.parts[0].data_ptr() == mapped.data_ptr()
    part = view[:]
    part.zero_()
    assert (view[[0]] == 7).all()  # but what is read is a copy
    data = ClientData(Images.of(mapped), torch.arange(11))
    part = data.subset(data.labels > 8)
    assert isinstance(part.images, Images) and part.labels.tolist() == [9, 10]
    assert torch.equal(part.images[:], WHOLE[9:]) and part.bytes == 2 * 3 * 4 * 4


def test_training_on_mapped_images_is_training_on_a_tensor(tmp_path, monkeypatch):
    images = torch.randint(256, (9, 3, 16, 16), dtype=torch.uint8)
    labels = torch.arange(9) % 3
    own, device = settings(batch_size=4), torch.device("cpu")
    mapped = Images.joined([in_file(tmp_path, images)[:5], images[5:]])

    def trained(data):
        net = build("resnet_small", 3, 8, 16, seed=0)
        steps = local_sgd(net, data, own, (0, "a path"), [Phase(1)])
        return Weights.of(net), steps, evaluate(net, data, size=2)

    expected, steps, accuracy = trained(ClientData(pixels(images), labels))
    assert steps == 3
    stays = ClientData(mapped, labels)
    (read,) = placement.placed([stays], device)
    monkeypatch.setattr(placement, "SMALL", stays.bytes - 1)
    (left,) = placement.placed([stays], device)
    assert isinstance(read.images, torch.Tensor) and left is stays
    for data in (read, left):
        found, same, right = trained(data)
        assert (same, right) == (steps, accuracy)
        assert all(torch.equal(found.params[name], expected.params[name]) for name in found.params)


def test_what_clients_keep_stays_on_the_device_if_it_fits(monkeypatch):
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    assert placement.shelf(gpu, model=10, clients=10) == gpu
    assert placement.shelf(gpu, model=10, clients=11) == torch.device("cpu")
    assert placement.shelf(torch.device("cpu"), model=10, clients=1) == torch.device("cpu")


def test_what_torch_keeps_for_later_is_given_back_before_memory_is_counted(monkeypatch):
    """Else what fits would depend on what the same process did before."""
    cached = [600]
    monkeypatch.setattr(torch.cuda, "empty_cache", cached.clear)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000 - sum(cached), 2000))
    assert placement.room(torch.device("cpu")) == placement.SMALL and cached
    assert placement.room(torch.device("cuda")) == placement.SHARE * 1000


def test_an_image_is_mirrored_and_moved_and_nothing_else():
    image = torch.arange(1.0, 65.0).view(1, 1, 8, 8) / 64
    seen = augmented(image.expand(400, 3, 8, 8), 0, "views")
    wide = torch.nn.functional.pad(image[0, 0], (1,) * 4, value=-1.0)
    possible = [
        torch.stack([w[a : a + 8, b : b + 8] for a in range(3) for b in range(3)])
        for w in (wide, torch.nn.functional.pad(image[0, 0].flip(1), (1,) * 4, value=-1.0))
    ]
    possible = torch.cat(possible)
    assert torch.equal(seen[:, 0], seen[:, 2])
    which = (seen[:, :1] == possible).all((2, 3))
    assert (which.sum(1) == 1).all() and which.any(0).all()  # each a view, and every view occurs
    assert torch.equal(seen, augmented(image.expand(400, 3, 8, 8), 0, "views"))
    assert not torch.equal(seen, augmented(image.expand(400, 3, 8, 8), 1, "views"))


@pytest.mark.parametrize("change", [{"augmentation": "crop_flip"}, {"precision": "bfloat16"}])
def test_augmentation_and_precision_change_the_outcome_and_repeat(change):
    data = ClientData(torch.randint(256, (9, 3, 16, 16), dtype=torch.uint8), torch.arange(9) % 3)

    def trained(**changes):
        own = settings(batch_size=4, **changes)
        net = build("resnet_small", 3, 8, 16, seed=0)
        local_sgd(net, data, own, (0, "a path"), [Phase(1)])
        return Weights.of(net).params["fc.weight"]

    assert torch.equal(trained(**change), trained(**change))
    assert not torch.equal(trained(**change), trained())
