"""Personalisation: each client fine-tunes the global model on its data (Sec. 4.2, App. B)."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from .clients import ClientData, placed
from .engine import Checkpoint, piecewise
from .params import PersonalizationSettings, TrainingSettings
from .training import evaluate, in_memory, repeatable, sgd, train_epochs
from .weights import Weights


def of_own_classes(data: ClientData, real: int) -> ClientData:
    """`data` without the classes that none of its first `real` images has (App. B)."""
    kept = torch.isin(data.labels, data.labels[:real].unique())
    return data.subset(kept)


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
    """Every client fine-tunes the global model `weights` for ``settings.epochs`` epochs.

    SGD with the batch size, momentum and weight decay of `training` and the rate of
    `settings`. The batches of epoch e are drawn from (seed, "fine-tuning", client, e).

    Parameters
    ----------
    net
        The network that `weights` belong to, a workspace: its own weights do not matter, and
        afterwards they are those of the last client.
    clients
        Each one's real images, and for ReGL synthetic ones (`of_own_classes`).
    tests
        Each client's own test split.
    tick
        Called after each client with the share of them done, 0 to 1.
    checkpoint
        Where to go on from and to save to, after a client and within one (`stepwise`).

    Returns
    -------
    Of each client the accuracy on its own test split after every epoch, in percent; None for one
    without training or without test images.
    """

    def curve(client: int) -> Sequence[float] | None:
        if not len(clients[client]) or not len(tests[client]):
            return None
        own = checkpoint and checkpoint / f"within-{client}"
        device = next(net.parameters()).device
        data, test = placed([clients[client], tests[client]], device)
        weights.into(net)
        each = [sgd(net.parameters(), settings.rate, training)] * settings.epochs

        def accuracy(_: int) -> float:
            return evaluate(net, test, training.precision)

        path = seed, "fine-tuning", client
        found = train_epochs(net, each, data, training, path, own, end=accuracy)
        return tuple(it for it in found if it is not None)

    with repeatable(), in_memory("fine-tuning", training):
        return piecewise(curve, range(len(clients)), checkpoint, tick)
