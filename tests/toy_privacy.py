"""Marked clients, and guards who walk what leaves them to its last tensor."""

from collections.abc import Iterator, Mapping
from dataclasses import fields

import numpy as np
import pytest
import torch
from test_fairness import small_resnet
from torch import Tensor, nn

from regl_core.federation import federate
from regl_core.methods.base import Method, Round, Server
from regl_core.params import TrainingSettings
from regl_core.training import ClientData, Update, pixels
from regl_core.weights import Weights

SIDE = 16


def marked(count: int, seed: int) -> ClientData:
    """Images of drawn grey levels, none of them black, white or the value of a fresh weight."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(2, 254, (count, 3, SIDE, SIDE), generator=draw, dtype=torch.uint8)
    labels = torch.randint(3, (count,), generator=draw)
    return ClientData(pixels(images), labels)


DATA = [marked(count, seed) for seed, count in enumerate((6, 11, 4))]


class Leak(AssertionError):
    """Something has left a client that must not."""


def watch(update: object, like: Weights, uploads: tuple[str, ...], data: ClientData) -> None:
    """Raise Leak unless `update` is what a client with `data` may send.

    like : the network's weights, whose names, shapes and types are the only ones allowed.
    """
    _bare(update, Update)
    if type(update.count) is not int or update.count != len(data):
        raise Leak(f"count is {update.count!r}, not the number of images")
    _weights("weights", update.weights, like, data)
    if not isinstance(update.extra, Mapping) or set(update.extra) != set(uploads):
        raise Leak(f"extra has not the names declared, {uploads}")
    for name, value in update.extra.items():
        if type(value) is Weights:
            _weights(name, value, like, data)
        elif type(value) is Tensor and value.numel() == 1:
            _tensor(name, value, data)
        else:
            raise Leak(f"{name} is neither weights nor a single number")


def _bare(value: object, kind: type) -> None:
    """Nothing but a `kind`, and nothing hung on it."""
    if type(value) is not kind or vars(value).keys() != kind.__dataclass_fields__.keys():
        raise Leak(f"{type(value).__name__} is not a bare {kind.__name__}")


def _weights(where: str, weights: object, like: Weights, data: ClientData) -> None:
    _bare(weights, Weights)
    for kind in ("params", "buffers"):
        known = getattr(like, kind)
        for name, tensor in getattr(weights, kind).items():
            if name not in known:
                raise Leak(f"{where}: the network has no {name!r} among its {kind}")
            if type(tensor) is not Tensor or tensor.shape != known[name].shape:
                raise Leak(f"{where}: {name} has not the shape of the network's")
            if tensor.dtype not in (known[name].dtype, torch.bool):
                raise Leak(f"{where}: {name} is of {tensor.dtype}")
            _tensor(f"{where}: {name}", tensor, data)


def _tensor(where: str, tensor: Tensor, data: ClientData) -> None:
    """Its own numbers and no others: no history, no attribute, no larger storage, no image."""
    if tensor.requires_grad or tensor.grad_fn is not None or vars(tensor):
        raise Leak(f"{where} carries more than its numbers")
    storage = tensor.untyped_storage()
    if storage.data_ptr() in {own.untyped_storage().data_ptr() for own in vars(data).values()}:
        raise Leak(f"{where} is the client's data under another name")
    if storage.nbytes() != tensor.numel() * tensor.element_size():
        raise Leak(f"{where} shows less than it carries")
    if shows(tensor, data.images):
        raise Leak(f"{where} contains a row of an image")


def shows(tensor: Tensor, images: Tensor) -> bool:
    """Whether a row of pixels of `images`, scaled or as grey levels, stands in `tensor`."""
    flat, scaled = tensor.flatten().double().numpy(), images.double().reshape(-1, SIDE).numpy()
    starts = len(flat) - SIDE + 1
    for rows in (scaled, np.round((scaled + 1) * 127.5)):
        found = np.flatnonzero(np.isin(flat[: max(starts, 0)], rows[:, 0]))
        windows = flat[found[:, None] + np.arange(SIDE)]
        if any((rows == window).all(axis=1).any() for window in windows):
            return True
    return False


FIELDS = {field.name for field in fields(Update)}


def _tensors(update: Update) -> Iterator[Tensor]:
    """Every tensor of a message."""
    for part in (update.weights, *update.extra.values()):
        if isinstance(part, Weights):
            yield from part.params.values()
            yield from part.buffers.values()
        else:
            yield part


def watched(
    method: Method, monkeypatch: pytest.MonkeyPatch, how: TrainingSettings
) -> list[tuple[Server, Mapping[int, Update], Round]]:
    """What reached the server in each round of `method` on DATA; every message is watched."""
    kind, reached, sent, answers = type(method), [], [], []
    finish, aggregate, answer = kind.finish, kind.aggregate, kind.answer
    like = Weights.of(method.network(small_resnet(), 0))

    def finished(self, task, trained, steps):
        state, update = finish(self, task, trained, steps)
        sent.append(update)
        watch(update, like, self.uploads, DATA[task.client])
        return state, update

    def aggregated(self, server, updates, now):
        reached.append((server, updates, now))
        # The loop may move a message to another device, and makes it anew: of the same tensors.
        seen = {id(tensor) for update in sent for tensor in _tensors(update)}
        assert all(
            type(update) is Update and not vars(update).keys() - FIELDS
            for update in updates.values()
        )
        assert {id(it) for update in updates.values() for it in _tensors(update)} <= seen
        assert {update.count for update in updates.values()} <= {update.count for update in sent}
        assert all(type(client) is int for client in updates)
        facts_alone(now)
        return aggregate(self, server, updates, now)

    def answered(self, server, client):
        found = answer(self, server, client)
        answers.append(found)
        return found

    monkeypatch.setattr(kind, "finish", finished)
    monkeypatch.setattr(kind, "aggregate", aggregated)
    monkeypatch.setattr(kind, "answer", answered)
    federate(method, small_resnet(), DATA, DATA[0], how, seed=0)
    for found in answers:
        server_alone(found)
    return reached


def server_alone(server: Server) -> None:
    """An answer to a client is weights and tensors by name, and shows nobody's images."""
    _bare(server, Server)
    for value in (server.weights, *server.extra.values()):
        parts = {**value.params, **value.buffers} if type(value) is Weights else {"": value}
        for tensor in parts.values():
            assert type(tensor) is Tensor
            assert not any(shows(tensor, own.images) for own in DATA)


def facts_alone(now: Round) -> None:
    """What the server is told of a round: numbers, settings, and a network of weights alone."""
    _bare(now, Round)
    assert type(now.number) is type(now.seed) is type(now.clients) is int
    assert type(now.training) is TrainingSettings and now.image == (3, SIDE, SIDE)
    assert strays(now.net) == [] and all(p.grad is None for p in now.net.parameters())


def strays(value: object) -> list[Tensor]:
    """Tensors that hang on modules without being parameters or buffers, as a kept batch would."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, nn.Module):
        registered = {"_parameters", "_buffers", "_modules"}
        parts = [own for m in value.modules() for k, own in vars(m).items() if k not in registered]
    elif isinstance(value, Mapping):
        parts = list(value.values())
    else:
        parts = list(value) if isinstance(value, list | tuple | set) else []
    return [stray for part in parts for stray in strays(part)]
