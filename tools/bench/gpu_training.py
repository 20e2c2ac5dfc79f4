"""Federated rounds beside the same passes in bare PyTorch, and ways to compute them.

On a GPU the paper's ResNet34 at 224 pixels, on a CPU the smallest network; random images.
"""

import copy
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from regl_core import methods, models
from regl_core.clients import ClientData
from regl_core.federation import federate
from regl_core.images import Images
from regl_core.params import TrainingSettings
from regl_core.training import Phase, evaluate, local_sgd

from .lines import Line
from .measuring import Amounts, Machine
from .passes import PASSES, Way, bare, evaluated

METHODS = ("FedAvg", "SCAFFOLD", "MOON")
CLASSES = 10


class Training:
    """A network, clients' images, and what is measured on them."""

    def __init__(
        self, machine: Machine, settings: TrainingSettings, side: int, amounts: Amounts
    ) -> None:
        """`side`: of the images, in pixels. Of `settings` an epoch and two rounds are enough."""
        self._machine, self._side, self._amounts = machine, side, amounts
        fixed = {"rounds": 2, "report_rounds": 1, "local_epochs": 1}
        self._settings = settings.model_copy(update=fixed)
        self._size = f"{settings.model} {side}"

    def _net(self) -> nn.Module:
        name, width = self._settings.model, self._settings.width
        net = models.build(name, CLASSES, width, self._side, seed=0)
        # As `stages.trained.network` has it.
        layout = torch.preserve_format if self._machine.tiny else torch.channels_last
        return net.to(self._machine.device, memory_format=layout)

    def _data(self, count: int, device: torch.device) -> ClientData:
        draw = torch.Generator().manual_seed(count)
        shape = (count, 3, self._side, self._side)
        images = torch.randint(256, shape, generator=draw, dtype=torch.uint8)
        labels = torch.randint(CLASSES, (count,), generator=draw)
        return ClientData(images.to(device), labels.to(device))

    def rounds(self, seconds: float) -> Iterator[Line]:
        """Two rounds, evaluation included, of a few methods; evaluation alone."""
        net, device = self._net(), self._machine.device
        clients = [self._data(count, device) for count in self._amounts.counts]
        test = self._data(self._amounts.tested, device)
        way = Way(self._settings.precision)
        for name in METHODS:
            method = methods.get(name, {})
            own = method.network(copy.deepcopy(net), 0)
            yield self._machine.measure(
                "trained" if name == "FedAvg" else f"trained, {name}",
                self._size,
                self._settings.precision,
                self._settings.rounds * sum(self._amounts.counts),
                lambda it=method: federate(it, net, clients, test, self._settings, seed=0),
                lambda it=own, of=PASSES[name]: bare(it, of, clients, test, self._settings, way),
                seconds / (len(METHODS) + 1),
            )
        yield self._machine.measure(
            "evaluated",
            self._size,
            self._settings.precision,
            len(clients[-1]),
            lambda: evaluate(net, clients[-1], self._settings.precision),
            lambda: evaluated(net, clients[-1], way),
            seconds / (len(METHODS) + 1),
        )

    def ways(self, seconds: float) -> Iterator[Line]:
        """Bare loops that compute otherwise, beside the one that `rounds` is compared with."""
        usual = Way("bfloat16")
        plain = {"layout": torch.contiguous_format}
        tries = {
            "float32": (Way(tf32=False), plain),
            "float32 by TF32": (Way(), plain),
            "bfloat16": (usual, plain),
            "bfloat16, channels last, cuDNN deterministic": (
                replace(usual, deterministic=True),
                {},
            ),
            "bfloat16, channels last, cuDNN benchmark": (replace(usual, benchmark=True), {}),
        }
        for name, (way, how) in tries.items():
            yield self._way(name, way, seconds / len(tries), **how)

    def _way(
        self, name: str, way: Way, seconds: float, layout: torch.memory_format = torch.channels_last
    ) -> Line:
        data = [self._data(self._amounts.counts[0], self._machine.device)]
        usual = self._net()
        other = copy.deepcopy(usual).to(memory_format=layout)
        steps = self._settings.model_copy(update={"rounds": 1})

        def passes(net: nn.Module, how: Way) -> None:
            with how.set():
                bare(net, PASSES["FedAvg"], data, None, steps, how)

        return self._machine.measure(
            "trained, bare loop",
            self._size,
            name,
            len(data[0]),
            lambda: passes(other, way),
            lambda: passes(usual, Way("bfloat16")),
            seconds,
        )

    def streamed(self, seconds: float) -> Iterator[Line]:
        """Our local training on images in a file, mapped into memory, beside images on the GPU."""
        data = self._data(self._amounts.counts[0], torch.device("cpu"))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "images.safetensors")
            save_file({"images": data.images}, path)
            mapped = ClientData(Images.of(load_file(path)["images"]), data.labels)
            resident = data.to(self._machine.device)
            net = self._net()

            def train(on: ClientData) -> None:
                local_sgd(net, on, self._settings, (0, "bench"), [Phase(1)])

            yield self._machine.measure(
                "trained, streamed from a file",
                self._size,
                self._settings.precision,
                len(data),
                lambda: train(mapped),
                lambda: train(resident),
                seconds,
            )
