"""The privacy contract (DESIGN §7): what a client sends is parameters, buffers and a count.

The clients' images are marked: their values are drawn and appear in no fresh network. Every
message of every method is walked, and methods that leak on purpose are caught.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from method_cases import EVERY, built, small_resnet
from torch import Tensor
from toy_clients import settings
from toy_privacy import DATA, Leak, lists, shows, strays, watched

from regl_core.errors import ReglError
from regl_core.federation import federate
from regl_core.methods.base import Update
from regl_core.methods.fedavg import FedAvg
from regl_core.weights import Weights


@pytest.mark.parametrize("name", EVERY)
def test_nothing_but_weights_and_a_count_leaves_a_client(name, monkeypatch):
    reached = watched(built(name), monkeypatch, settings())
    assert [list(updates) for _, updates, _ in reached] == [[0, 1, 2]] * 3


def altered(weights: Weights, name: str, value: object) -> Weights:
    return replace(weights, params={**weights.params, name: value})


def with_attribute(update: Update) -> Update:
    object.__setattr__(update, "images", DATA[0].images)
    return update


def with_image_attribute(tensor: Tensor) -> Tensor:
    tensor.image = DATA[0].images[0]
    return tensor


def instead(weights: Weights, image: Tensor) -> Weights:
    """`weights` with what fits of `image` in the place of the first convolution."""
    return altered(weights, "conv1.weight", image.flatten()[:216].view(8, 3, 3, 3).clone())


IMAGE = DATA[0].images[0]
LABELS = DATA[0].labels[2:5].float()  # not all alike
LEAKS: dict[str, tuple[Callable[[Weights, int], object], str]] = {
    "an image, declared": (lambda w, n: Update(w, n, {"extra": IMAGE}), "neither weights nor"),
    "the labels, declared": (
        lambda w, n: Update(w, n, {"extra": DATA[0].labels.clone()}),
        "neither weights nor",
    ),
    "all of it, declared": (lambda w, n: Update(w, n, {"extra": DATA[0]}), "neither weights nor"),
    "a path": (lambda w, n: Update(w, n, {"extra": "/home/client/0.png"}), "neither weights nor"),
    "an array": (lambda w, n: Update(w, n, {"extra": IMAGE.numpy()}), "neither weights nor"),
    "labels, undeclared": (lambda w, n: Update(w, n, {"labels": DATA[0].labels}), "not the names"),
    "an image as weights": (
        lambda w, n: Update(altered(w, "image", IMAGE), n, {"extra": w}),
        "no 'image' among its params",
    ),
    "an image in a weight's place": (
        lambda w, n: Update(instead(w, IMAGE), n, {"extra": w}),
        "contains a row of an image",
    ),
    "grey levels in an upload's place": (
        lambda w, n: Update(w, n, {"extra": instead(w, ((IMAGE + 1) * 127.5).round())}),
        "contains a row of an image",
    ),
    "an image from 0 to 1": (
        lambda w, n: Update(instead(w, (IMAGE + 1) / 2), n, {"extra": w}),
        "contains a row of an image",
    ),
    "an image times two": (
        lambda w, n: Update(instead(w, 2 * IMAGE), n, {"extra": w}),
        "contains a row of an image",
    ),
    "a negative": (
        lambda w, n: Update(instead(w, 0.3 - IMAGE / 50), n, {"extra": w}),
        "contains a row of an image",
    ),
    "an image in bfloat16": (
        lambda w, n: Update(instead(w, IMAGE.bfloat16().float()), n, {"extra": w}),
        "contains a row of an image",
    ),
    "bright pixels as bools": (
        lambda w, n: Update(instead(w, IMAGE > 0), n, {"extra": w}),
        "is of torch.bool",
    ),
    "bright pixels as two numbers": (
        lambda w, n: Update(instead(w, torch.where(IMAGE > 0.2, 0.1, -0.1)), n, {"extra": w}),
        "contains a row of an image",
    ),
    "labels as floats": (
        lambda w, n: Update(altered(w, "fc.bias", LABELS), n, {"extra": w}),
        "contains labels",
    ),
    "the data itself": (
        lambda w, n: Update(altered(w, "fc.bias", DATA[0].images[0, 0, 0, :3]), n, {"extra": w}),
        "the client's data under another name",
    ),
    "a view that hides an image": (
        lambda w, n: Update(
            altered(w, "fc.bias", torch.cat([w.params["fc.bias"], IMAGE.flatten()])[:3]),
            n,
            {"extra": w},
        ),
        "shows less than it carries",
    ),
    "a gradient's history": (
        lambda w, n: Update(
            altered(w, "fc.bias", (IMAGE.clone().requires_grad_() * 2).sum((1, 2))),
            n,
            {"extra": w},
        ),
        "carries more than its numbers",
    ),
    "an image hung on a weight": (
        lambda w, n: Update(
            altered(w, "fc.bias", with_image_attribute(w.params["fc.bias"].clone())),
            n,
            {"extra": w},
        ),
        "carries more than its numbers",
    ),
    "an image hung on the message": (
        lambda w, n: with_attribute(Update(w, n, {"extra": w})),
        "not a bare Update",
    ),
    "labels as the count": (
        lambda w, n: Update(w, DATA[0].labels, {"extra": w}),
        "not the number of images",
    ),
    "a message of another kind": (lambda w, n: DATA[0], "not a bare Update"),
}


class Leaky(FedAvg):
    """FedAvg whose clients send what `leak` makes of the trained weights and the count."""

    name = "leaky"
    uploads = ("extra",)
    leak: Callable[[Weights, int], object]

    def finish(self, task, trained, steps):
        return {}, self.leak(trained, task.count)


@pytest.mark.parametrize("what", LEAKS)
def test_a_method_that_leaks_is_caught(what, monkeypatch):
    leak, words = LEAKS[what]
    method = Leaky.model_construct(leak=leak)
    with pytest.raises(Leak, match=words):
        watched(method, monkeypatch, settings(rounds=1, local_epochs=1))


@pytest.mark.parametrize("mask", [IMAGE > 0.2, IMAGE < -0.2])
def test_a_mask_that_is_declared_shows_no_image_either(mask, monkeypatch):
    monkeypatch.setattr(Leaky, "masks", ("extra",))
    how = settings(rounds=1, local_epochs=1)

    def masks(weights: Weights) -> Weights:
        return Weights({name: it > 0 for name, it in weights.params.items()}, {})

    honest = Leaky.model_construct(leak=lambda w, n: Update(w, n, {"extra": masks(w)}))
    assert len(watched(honest, monkeypatch, how)) == 1
    leak = Leaky.model_construct(leak=lambda w, n: Update(w, n, {"extra": instead(masks(w), mask)}))
    with pytest.raises(Leak, match=r"extra: conv1\.weight contains a row of an image"):
        watched(leak, monkeypatch, how)


def test_fedcac_alone_sends_masks():
    assert {name for name in EVERY if built(name).masks} == {"FedCAC"}


def test_what_was_drawn_shows_nothing():
    draw, images = torch.Generator().manual_seed(5), torch.cat([own.images for own in DATA])
    weights = torch.randn(100_000, generator=draw)
    for drawn in (weights, weights.bfloat16(), weights > 0, weights > 1, torch.ones(99)):
        assert not shows(drawn, images) and not lists(drawn, torch.cat([o.labels for o in DATA]))


def test_a_method_that_sends_its_weights_alone_is_not(monkeypatch):
    method = Leaky.model_construct(leak=lambda w, n: Update(w, n, {"extra": w}))
    assert len(watched(method, monkeypatch, settings(rounds=1, local_epochs=1))) == 1


@pytest.mark.parametrize("sent", [DATA[0], Update(Weights({}, {}), 6, {"labels": DATA[0].labels})])
def test_the_loop_itself_refuses_what_is_not_declared(sent):
    method = Leaky.model_construct(leak=lambda w, n: sent)
    with pytest.raises(ReglError, match="a client must send an Update whose extra"):
        federate(method, small_resnet(), DATA, DATA[0], settings(rounds=1), seed=0)


def test_a_batch_that_is_left_in_the_network_is_found():
    net = small_resnet()
    assert strays(net) == []
    net.layer1.seen = {"batch": [IMAGE]}
    assert [stray is IMAGE for stray in strays(net)] == [True]
