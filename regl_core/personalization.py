"""Personalisation: each client fine-tunes the global model on its data (Sec. 4.2, App. B)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from .clients import ClientData, placed
from .engine import Checkpoint, piecewise
from .params import PersonalizationSettings, TrainingSettings
from .training import evaluate, in_memory, repeatable, sgd, train_epochs
from .weights import Weights


@dataclass(frozen=True)
class PersonalModel:
    """One client's personal model.

    Attributes
    ----------
    accuracy
        On the client's own test split after each epoch, in percent.
    weights
        After the last epoch.
    """

    accuracy: tuple[float, ...]
    weights: Weights


def of_own_classes(data: ClientData, real: int) -> ClientData:
    """`data` without the classes that none of its first `real` images has (App. B)."""
    kept = torch.isin(data.labels, data.labels[:real].unique())
    return data.subset(kept)


def fine_tune(
    net: nn.Module,
    weights: Weights,
    data: ClientData,
    test: ClientData,
    settings: PersonalizationSettings,
    training: TrainingSettings,
    seed: int,
    client: int,
    checkpoint: Checkpoint | None = None,
) -> PersonalModel | None:
    """Fine-tune the model `weights` on `data` for ``settings.epochs`` epochs.

    SGD with the batch size, momentum and weight decay of `training` and the rate of
    `settings`. The batches of epoch e are drawn from (seed, "fine-tuning", client, e).

    Parameters
    ----------
    net
        The network that `weights` belong to, a workspace: its own weights do not matter, and
        are undefined afterwards.
    data
        The client's real images, and for ReGL synthetic ones (`of_own_classes`).
    test
        The client's own test split.
    checkpoint
        Where to go on from and to save to after a step (`stepwise`).

    Returns
    -------
    None for a client without training or without test images.
    """
    if not len(data) or not len(test):
        return None
    data, test = placed([data, test], next(net.parameters()).device)
    weights.into(net)
    optimizer = sgd(net.parameters(), settings.rate, training)

    def accuracy(_: int) -> float:
        return evaluate(net, test, training.precision)

    how = [optimizer] * settings.epochs, data, training, (seed, "fine-tuning", client), checkpoint
    with repeatable(), in_memory("fine-tuning", training):
        found = train_epochs(net, *how, end=accuracy)
    net.zero_grad()
    return PersonalModel(tuple(it for it in found if it is not None), Weights.of(net))


def personalize(
    net: nn.Module,
    weights: Weights,
    clients: Sequence[ClientData],
    tests: Sequence[ClientData],
    settings: PersonalizationSettings,
    training: TrainingSettings,
    seed: int,
    tick: Callable[[float], None] = lambda fraction: None,
    checkpoint: Checkpoint | None = None,
) -> list[Sequence[float] | None]:
    """`fine_tune` for every client, each from the same global `weights`.

    `tick` is called after each client with the share of them done, 0 to 1. `checkpoint`: where to
    go on from and to save to, after a client and within one.

    Returns
    -------
    Of each client the accuracy after every epoch in percent, or None if it is left out.
    """
    both = list(zip(clients, tests, strict=True))

    def curve(client: int) -> Sequence[float] | None:
        own = checkpoint and checkpoint / f"within-{client}"
        tuned = fine_tune(net, weights, *both[client], settings, training, seed, client, own)
        return None if tuned is None else tuned.accuracy

    return piecewise(curve, range(len(both)), checkpoint, tick)
