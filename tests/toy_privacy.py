"""Marked clients, and guards who walk what leaves them to its last tensor."""

from collections.abc import Iterator, Mapping
from dataclasses import fields

import pytest
import torch
from method_cases import small_resnet
from torch import Tensor, nn

from regl_core.clients import ClientData, pixels
from regl_core.federation import federate
from regl_core.methods import Method, Round, Server, Update
from regl_core.params import TrainingSettings
from regl_core.weights import Weights

SIDE = 16
BLOCK = 4 * SIDE  # pixels of which a mask is known again


def marked(count: int, seed: int) -> ClientData:
    """Images of drawn grey levels, none of them black, white or the value of a fresh weight."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(2, 254, (count, 3, SIDE, SIDE), generator=draw, dtype=torch.uint8)
    labels = torch.randint(3, (count,), generator=draw)
    return ClientData(pixels(images), labels)


DATA = [marked(count, seed) for seed, count in enumerate((6, 11, 4))]


class Leak(AssertionError):
    """Something has left a client that must not."""


def watch(update: object, like: Weights, method: Method, data: ClientData) -> None:
    """Raise Leak unless `update` is what a client of `method` with `data` may send.

    like : the network's weights, whose names, shapes and types are the only ones allowed; of a
    type of their own are the masks that the method declares.
    """
    uploads = method.uploads
    _bare(update, Update)
    if type(update.count) is not int or update.count != len(data):
        raise Leak(f"count is {update.count!r}, not the number of images")
    _weights("weights", update.weights, like, data)
    if not isinstance(update.extra, Mapping) or set(update.extra) != set(uploads):
        raise Leak(f"extra has not the names declared, {uploads}")
    for name, value in update.extra.items():
        if type(value) is Weights:
            _weights(name, value, like, data, name in method.masks)
        elif type(value) is Tensor and value.numel() == 1:
            _tensor(name, value, data)
        else:
            raise Leak(f"{name} is neither weights nor a single number")


def _bare(value: object, kind: type) -> None:
    """Nothing but a `kind`, and nothing hung on it."""
    if type(value) is not kind or vars(value).keys() != kind.__dataclass_fields__.keys():
        raise Leak(f"{type(value).__name__} is not a bare {kind.__name__}")


def _weights(
    where: str, weights: object, like: Weights, data: ClientData, masks: bool = False
) -> None:
    _bare(weights, Weights)
    for kind in ("params", "buffers"):
        known = getattr(like, kind)
        for name, tensor in getattr(weights, kind).items():
            if name not in known:
                raise Leak(f"{where}: the network has no {name!r} among its {kind}")
            if type(tensor) is not Tensor or tensor.shape != known[name].shape:
                raise Leak(f"{where}: {name} has not the shape of the network's")
            if tensor.dtype != (torch.bool if masks else known[name].dtype):
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
    if lists(tensor, data.labels):
        raise Leak(f"{where} contains labels")


def shows(tensor: Tensor, images: Tensor) -> bool:
    """Whether pixels of `images` stand in `tensor`, under whatever scale, or as a mask of them.

    Sixteen in a row count if they correlate by more than 0.999 with numbers that stand beside one
    another, as they do after scaling, a change of sign, and rounding to grey levels or to bfloat16.
    Of a mask, of bools or of two numbers, 64 count if it tells their bright from their dark ones.

    No chance can do that: for 16 drawn numbers it is below 1e-18, for a mask of 64 less than 1e-14.
    """
    flat, width = tensor.detach().flatten(), images.shape[-1]
    levels = ((images.double() + 1) * 127.5).round().flatten(2)
    rows, blocks = (levels.unfold(2, size, width).reshape(-1, size) for size in (SIDE, BLOCK))
    return _scaled(flat, rows) or _masked(flat, blocks)


def _scaled(flat: Tensor, rows: Tensor) -> bool:
    rows = _unit(rows)
    if len(flat) < SIDE:
        return False
    windows = _unit(flat.double().unfold(0, SIDE, 1))
    if not len(windows) or not len(rows):
        return False
    found = (torch.aminmax(part @ rows.T) for part in windows.split(4096))
    return any(max(-low, high) > 0.999 for low, high in found)


def _masked(flat: Tensor, blocks: Tensor) -> bool:
    """Exact: the pixels where it is true are as bright as any so many of the block, or as dark."""
    if len(flat) < BLOCK:
        return False
    # Of two numbers alone, any three in a row hold one twice: most windows are out by that.
    one, two, three = flat[:-2], flat[1:-1], flat[2:]
    twice = (one == two) | (two == three) | (one == three)
    windows = flat.unfold(0, BLOCK, 1)[twice.unfold(0, BLOCK - 2, 1).all(1)].double()
    if not len(windows):
        return False
    low, high = windows.aminmax(dim=1, keepdim=True)
    masks, counts = windows == high, (windows == high).sum(1)
    # A lone bright pixel is too easily met by chance.
    telling = (masks | (windows == low)).all(1) & (counts >= SIDE) & (counts <= BLOCK - SIDE)
    masks, counts = masks[telling], counts[telling]
    blocks = blocks.float()  # whole numbers, of which sums are exact
    most, least = (
        blocks.sort(dim=1, descending=down).values.cumsum(1).T.contiguous()
        for down in (True, False)
    )
    for part, count in zip(masks.split(4096), counts.split(4096), strict=True):
        light = part.float() @ blocks.T
        if ((light == most[count - 1]) | (light == least[count - 1])).any():
            return True
    return False


def _unit(rows: Tensor) -> Tensor:
    """The rows that vary, shifted to a mean of zero and scaled to length one, float32."""
    centred = rows - rows.mean(1, keepdim=True)
    length = centred.norm(dim=1, keepdim=True)
    return (centred / length)[length[:, 0] > 0].float()


def lists(tensor: Tensor, labels: Tensor) -> bool:
    """Whether three of `labels` in a row, not all alike, stand in `tensor`, as floats."""
    flat = tensor.detach().flatten()
    if len(flat) < 3 or not flat.is_floating_point():
        return False
    told = labels.unfold(0, 3, 1).unique(dim=0)
    told = told[(told != told[:, :1]).any(1)]
    return bool((flat.unfold(0, 3, 1)[:, None] == told).all(2).any())


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
        watch(update, like, self, DATA[task.client])
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
    seen: set[int] = set()
    for found in answers:
        server_alone(found, seen)
    return reached


def server_alone(server: Server, seen: set[int]) -> None:
    """An answer to a client is weights and tensors by name, and shows nobody's images.

    seen : ids of tensors that were looked into; the same go to every client.
    """
    every = torch.cat([own.images for own in DATA])
    _bare(server, Server)
    for value in (server.weights, *server.extra.values()):
        parts = {**value.params, **value.buffers} if type(value) is Weights else {"": value}
        for tensor in parts.values():
            assert type(tensor) is Tensor
            assert id(tensor) in seen or not shows(tensor, every)
            seen.add(id(tensor))


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
