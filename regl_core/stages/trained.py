"""Federated training on real and synthetic images (Sec. 4.2)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .. import models
from ..clients import ClientData
from ..data import Dataset, Split
from ..engine import Stage
from ..federation import FederationCheckpoint, FederationState, federate
from ..foundation import pick_device
from ..images import Images
from ..methods import Method
from ..params import TrainingSettings
from ..partition import test_split
from ..system import put
from ..weights import Weights
from .inputs import Source, Tick
from .lora_images import LoraImages
from .vanilla_images import Vanilla, load_images


@dataclass(frozen=True)
class Trained(Stage):
    """One federation. Writes accuracy.json, personal.json and weights.safetensors.

    accuracy.json: of the global model on the test set after each round, in percent. It is there
    from the first round on (`Store.glimpse`).
    personal.json: of each client on its own test split after each round, or null where it
    lacks training or test images (`FederationState`).

    parts: each client's indices into the training set. synthetic: each client's images of
    every class, in one piece or several, or empty for a method that asks for none; of each class
    the first `synthetic_per_class` are trained on, or in their place as many real ones, where the
    method asks for `repeated`. personal: whether personal.json is asked for.
    """

    source: Source
    parts: tuple[tuple[int, ...], ...]
    synthetic: tuple[tuple[Vanilla | LoraImages, ...], ...]
    synthetic_per_class: int
    method: Method
    training: TrainingSettings
    seed: int
    personal: bool

    def needs(self) -> tuple[Stage, ...]:
        return tuple(piece for own in self.synthetic for piece in own)

    def count(self) -> int:
        """Number of images that all clients together train on."""
        besides = self.source.size.classes * self.synthetic_per_class
        owners = self.synthetic or [part for part in self.parts if self._repeated and part]
        return sum(map(len, self.parts)) + besides * len(owners)

    @property
    def _repeated(self) -> bool:
        return self.method.synthesis == "repeated"

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        dataset = self.source.load()

        def write_accuracy(state: FederationState) -> None:
            put({"accuracy.json": json.dumps(state.accuracy).encode()}, folder)

        history = federate(
            self.method,
            network(dataset, self.training, self.seed),
            self.clients(dataset, inputs),
            plain(dataset.test),
            self.training,
            self.seed,
            tick,
            FederationCheckpoint(folder, "progress"),
            tests(dataset, self.parts, self.seed) if self.personal else (),
            write_accuracy,
        )
        curves = [None if None in curve else curve for curve in zip(*history.personal, strict=True)]
        (folder / "personal.json").write_text(json.dumps(curves))
        weights = history.weights
        save_file({**weights.params, **weights.buffers}, folder / "weights.safetensors")

    def clients(self, dataset: Dataset, inputs: tuple[Path, ...]) -> list[ClientData]:
        """Each client's O_m = D_m ∪ S_m (Sec. 4.2), real images first; `inputs` of `needs`.

        Images that lie in files stay there.
        """
        folders = iter(inputs)
        both = []
        for index in range(len(self.parts)):
            part = torch.tensor(self.parts[index], dtype=torch.int64)
            if self._repeated and len(part):
                besides = len(dataset.classes) * self.synthetic_per_class
                part = part[torch.arange(len(part) + besides) % len(part)]
            images: list[Tensor | Images] = [Images.of(dataset.train.images).view(part)]
            labels = [dataset.train.labels[part]]
            if self.synthetic:
                pieces = [load_images(next(folders)) for _ in self.synthetic[index]]
                drawn = first_of_each(pieces, self.synthetic_per_class)
                images.append(drawn)
                labels.append(
                    torch.arange(len(pieces[0])).repeat_interleave(len(drawn) // len(pieces[0]))
                )
            both.append(ClientData(Images.joined(images), torch.cat(labels)))
        return both


def first_of_each(pieces: Sequence[Tensor], count: int) -> Images:
    """The first `count` images of every class, class by class, of pieces (classes, n, …)."""
    classes, starts, rows = len(pieces[0]), 0, []
    for piece in pieces:
        rows.append(starts + torch.arange(classes * piece.shape[1]).view(classes, -1))
        starts += classes * piece.shape[1]
    return Images(
        tuple(piece.flatten(0, 1) for piece in pieces), torch.cat(rows, dim=1)[:, :count].flatten()
    )


def network(dataset: Dataset, training: TrainingSettings, seed: int) -> nn.Module:
    """The first global model, on its device: the same for every method of a seed."""
    side, device = dataset.train.images.shape[-1], pick_device(training.device)
    net = models.build(training.model, len(dataset.classes), training.width, side, seed)
    # Tensor cores want the channels last; on a CPU `ResNetSmall` sees to it itself.
    layout = torch.channels_last if device.type == "cuda" else torch.preserve_format
    return net.to(device, memory_format=layout)


def final(folder: Path, net: nn.Module) -> Weights:
    """The last global model of a federation in `folder`, on the CPU; `net` has its architecture."""
    state, names = load_file(folder / "weights.safetensors"), dict(net.named_parameters())
    return Weights(
        {name: tensor for name, tensor in state.items() if name in names},
        {name: tensor for name, tensor in state.items() if name not in names},
    )


def plain(split: Split) -> ClientData:
    """`split` as a client holds it."""
    return ClientData(split.images, split.labels)


def tests(dataset: Dataset, parts: tuple[tuple[int, ...], ...], seed: int) -> list[ClientData]:
    """Each client's share of the test set, split as the training set is (Sec. 5.1)."""
    owned = [torch.tensor(part, dtype=torch.int64) for part in parts]
    split = test_split(dataset.train.labels, owned, dataset.test.labels, len(dataset.classes), seed)
    return [plain(dataset.test.subset(index)) for index in split]
