"""The privacy contract: what a client sends is parameters, buffers and a count.

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
from regl_core.methods import FedAvg, Update
from regl_core.weights import Weights


@pytest.mark.parametrize("name", EVERY)
def test_nothing_but_weights_and_a_count_leaves_a_client(name, monkeypatch):
    reached = watched(built(name), monkeypatch, settings())
    assert [list(updates) for _, updates, _ in reached] == [[0, 1, 2]] * 3


def altered(weights: Weights, name: str, value: object) -> Weights:
    return replace(weights, params={**weights.params, name: value})


def hung(holder: object) -> object:
    """`holder` with an image hung on it."""
    object.__setattr__(holder, "image", IMAGE)
    return holder


def instead(weights: Weights, image: Tensor) -> Weights:
    """`weights` with what fits of `image` in the place of the first convolution."""
    return altered(weights, "conv1.weight", image.flatten()[:216].view(8, 3, 3, 3).clone())


IMAGE, LABELS = DATA[0].images[0], DATA[0].labels
NEITHER, ROW, MORE = "neither weights nor", "contains a row of an image", "carries more than its"
# What stands in the place of a convolution's weights.
SHOWN = {
    "as it is": (IMAGE, ROW),
    "from 0 to 1": ((IMAGE + 1) / 2, ROW),
    "times two": (2 * IMAGE, ROW),
    "as a negative": (0.3 - IMAGE / 50, ROW),
    "in bfloat16": (IMAGE.bfloat16().float(), ROW),
    "its bright pixels as bools": (IMAGE > 0, "is of torch.bool"),
    "its bright pixels as two numbers": (torch.where(IMAGE > 0.2, 0.1, -0.1), ROW),
}
# What stands in the place of a bias of three numbers, made of that bias.
BIAS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "labels, not all alike": (lambda bias: LABELS[2:5].float(), "contains labels"),
    "the data itself": (lambda bias: IMAGE[0, 0, :3], "the client's data under another name"),
    "a view that hides an image": (
        lambda bias: torch.cat([bias, IMAGE.flatten()])[:3],
        "shows less than it carries",
    ),
    "a gradient's history": (
        lambda bias: (IMAGE.clone().requires_grad_() * 2).sum((1, 2)),
        MORE,
    ),
    "an image hung on a weight": (lambda bias: hung(bias.clone()), MORE),
}
# What is declared as "extra".
DECLARED = {
    "an image": (IMAGE, NEITHER),
    "the labels": (LABELS.clone(), NEITHER),
    "all of it": (DATA[0], NEITHER),
    "a path": ("/home/client/0.png", NEITHER),
    "an array": (IMAGE.numpy(), NEITHER),
}
LEAKS: dict[str, tuple[Callable[[Weights, int], object], str]] = {
    "labels, undeclared": (lambda w, n: Update(w, n, {"labels": LABELS}), "not the names"),
    "an image as weights": (
        lambda w, n: Update(altered(w, "image", IMAGE), n, {"extra": w}),
        "no 'image' among its params",
    ),
    "grey levels in an upload's place": (
        lambda w, n: Update(w, n, {"extra": instead(w, ((IMAGE + 1) * 127.5).round())}),
        ROW,
    ),
    "an image hung on the message": (
        lambda w, n: hung(Update(w, n, {"extra": w})),
        "not a bare Update",
    ),
    "labels as the count": (
        lambda w, n: Update(w, LABELS, {"extra": w}),
        "not the number of images",
    ),
    "a message of another kind": (lambda w, n: DATA[0], "not a bare Update"),
    **{
        f"an image {how}": (lambda w, n, it=it: Update(instead(w, it), n, {"extra": w}), words)
        for how, (it, words) in SHOWN.items()
    },
    **{
        what: (
            lambda w, n, make=make: Update(
                altered(w, "fc.bias", make(w.params["fc.bias"])), n, {"extra": w}
            ),
            words,
        )
        for what, (make, words) in BIAS.items()
    },
    **{
        f"{what}, declared": (lambda w, n, it=it: Update(w, n, {"extra": it}), words)
        for what, (it, words) in DECLARED.items()
    },
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
