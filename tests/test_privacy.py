"""The privacy contract (DESIGN §7): what a client sends is parameters, buffers and a count.

The clients' images are marked: their values are drawn and appear in no fresh network. Every
message of every method is walked, and methods that leak on purpose are caught.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from test_fairness import EVERY, built, small_resnet
from torch import Tensor
from toy_clients import settings
from toy_privacy import DATA, Leak, strays, watched

from regl_core.errors import ReglError
from regl_core.federation import federate
from regl_core.methods.fedavg import FedAvg
from regl_core.training import Update
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


IMAGE = DATA[0].images[0]
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
        lambda w, n: Update(
            altered(w, "conv1.weight", IMAGE.flatten()[:216].view(8, 3, 3, 3).clone()),
            n,
            {"extra": w},
        ),
        "contains a row of an image",
    ),
    "grey levels in an upload's place": (
        lambda w, n: Update(
            w,
            n,
            {
                "extra": altered(
                    w,
                    "conv1.weight",
                    ((IMAGE + 1) * 127.5).flatten()[:216].view(8, 3, 3, 3).round(),
                )
            },
        ),
        "contains a row of an image",
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
