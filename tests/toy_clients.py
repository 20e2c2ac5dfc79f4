"""Clients, networks and settings small enough to train in milliseconds, and a federation killed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from regl_core.clients import ClientData
from regl_core.federation import FederationCheckpoint, FederationState
from regl_core.methods import State
from regl_core.params import TrainingSettings
from regl_core.weights import Weights


def settings(**changes) -> TrainingSettings:
    values = {
        "model": "resnet_small",
        "width": 8,
        "rounds": 3,
        "local_epochs": 2,
        "batch_size": 4,
        "rate": 0.1,
        "schedule": "constant",
        "momentum": 0.9,
        "weight_decay": 1e-3,
        "client_fraction": 1.0,
        "report_rounds": 1,
        "augmentation": "none",
        "precision": "float32",
        "device": "cpu",
    }
    return TrainingSettings(**(values | changes))


def network(seed: int = 0, norm: bool = True) -> nn.Sequential:
    """Convolution, BatchNorm if asked for, and a linear head for 3 classes of 4 × 4 images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4) if norm else nn.Identity(),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        )


def client(count: int, seed: int = 0) -> ClientData:
    draw = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, 4, 4, generator=draw)
    return ClientData(images, torch.randint(3, (count,), generator=draw))


def clients(*counts: int) -> list[ClientData]:
    return [client(count, seed) for seed, count in enumerate(counts)]


def tensors(weights: Weights) -> dict[str, Tensor]:
    return {**weights.params, **weights.buffers}


def same(first: Weights, second: Weights) -> bool:
    """Equal bit for bit."""
    a, b = tensors(first), tensors(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Killed(Exception):
    """Ends a federation from within."""


def killed_and_resumed(
    federation: Callable[..., FederationState], folder: Path, turns: int
) -> FederationState:
    """`federation` killed in its `turns`-th client's turn, then run again from its checkpoint."""
    left = [turns]

    def kill(fraction: float) -> None:
        left[0] -= 1
        if not left[0]:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # slow, and for power cuts only
        with pytest.raises(Killed):
            federation(checkpoint=FederationCheckpoint(folder, str(turns), every=0.0), tick=kill)
        return federation(checkpoint=FederationCheckpoint(folder, str(turns), every=0.0))


def assert_same(first: FederationState, second: FederationState) -> None:
    """Equal bit for bit: accuracies, and the states of the server and of every client."""
    assert first.accuracy == second.accuracy and first.personal == second.personal
    assert same(first.weights, second.weights)
    states = [(first.server.extra, second.server.extra)]
    for a, b in [*states, *zip(first.clients, second.clients, strict=True)]:
        assert same_state(a, b)


def same_state(first: State, second: State) -> bool:
    """The same names, and equal bit for bit."""
    return first.keys() == second.keys() and all(
        same(value, second[name])
        if isinstance(value, Weights)
        else torch.equal(value, second[name])
        for name, value in first.items()
    )
