"""What one local update does to the global model, class by class (Figs. 4 and 7)."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..clients import ClientData, placed
from ..engine import Checkpoint, Stage, piecewise
from ..errors import ReglError
from ..methods import FedAvg
from ..system import Fitting
from ..training import Phase, cast, in_memory, local_sgd, repeatable
from ..weights import Weights
from .inputs import Tick
from .trained import Trained, final, network, plain

SHOWN = 600  # test images whose features are kept, for a picture


@dataclass(frozen=True)
class Updated(Stage):
    """Every client trains the final global model once more, as in a further round.

    Writes classes.safetensors: real and synthetic, int64 (clients, classes), numbers of images;
    before_pct, float32 (classes,), and after_pct, float32 (clients, classes), accuracies on the
    test images of each class, NaN for a client without images; silhouette, float32 (clients,
    classes), how well the test images of each class lie apart from those of the others in the
    updated model's last features, −1 to 1 (Rousseeuw 1987), NaN as before. And
    features.safetensors: these features, float32 (clients, n, d), zero for a client without
    images, of test images evenly spread over the test set; their labels, int64 (n,).

    Raises
    ------
    ReglError
        The method has a local update of its own, which needs a state that is not at hand here.
    """

    trained: Trained

    def __post_init__(self) -> None:
        kind = type(self.trained.method)
        own = ("network", "answer", "start", "prepare", "phases", "loss", "correct")
        if any(getattr(kind, name) is not getattr(FedAvg, name) for name in own):
            raise ReglError(
                f"method {kind.name!r} has a local update of its own, expected FedAvg's, as "
                "FedAvg and ReGL have: what it carries between rounds is not stored"
            )

    def needs(self) -> tuple[Stage, ...]:
        return self.trained, *self.trained.needs()

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        how, (trained, *synthetic) = self.trained, inputs
        dataset = how.source.load()
        net = network(dataset, how.training, how.seed)
        device = next(net.parameters()).device
        (test,) = placed([plain(dataset.test)], device)
        start = final(trained, net)
        start.into(net)
        right, last = judged(net, test, how.training.precision)
        before = by_class(right, dataset.test.labels, len(dataset.classes))
        data = how.clients(dataset, tuple(synthetic))
        after = torch.full((len(data), len(dataset.classes)), float("nan"))
        apart = torch.full_like(after, float("nan"))
        shown = torch.linspace(0, len(last) - 1, min(len(last), SHOWN)).long()
        features = torch.zeros(len(data), len(shown), last.shape[1])
        checkpoint = Checkpoint(folder, "clients")

        def turn(client: int) -> tuple[Tensor, Tensor, Tensor] | None:
            (own,) = placed([data[client]], device)
            if not len(own):
                return None
            once_more(how, net, start, own, client, checkpoint / f"within-{client}")
            right, last = judged(net, test, how.training.precision)
            classes = by_class(right, dataset.test.labels, len(dataset.classes))
            return classes, separation(last, dataset.test.labels), last[shown]

        for client, found in enumerate(piecewise(turn, range(len(data)), checkpoint, tick)):
            if found is not None:
                after[client], apart[client], features[client] = found
        counts = [
            [part.bincount(minlength=len(dataset.classes)) for part in own.labels.split(sizes)]
            for own, part in zip(data, how.parts, strict=True)
            for sizes in [[len(part), len(own) - len(part)]]
        ]
        real, drawn = (torch.stack(column) for column in zip(*counts, strict=True))
        table = {"real": real, "synthetic": drawn, "before_pct": before, "after_pct": after}
        save_file({**table, "silhouette": apart}, folder / "classes.safetensors")
        points = {"features": features, "labels": dataset.test.labels[shown]}
        save_file(points, folder / "features.safetensors")


def once_more(
    how: Trained,
    net: nn.Module,
    start: Weights,
    own: ClientData,
    client: int,
    checkpoint: Checkpoint,
) -> None:
    """Leave in `net` what `client` makes of the weights `start`, as in a further round of `how`.

    own : its images. checkpoint : as in `local_sgd`.
    """
    start.into(net)
    path = (how.seed, "batches", client, how.training.rounds)
    phases = [Phase(how.training.local_epochs)]
    with repeatable(), in_memory("a further update", how.training):
        local_sgd(net, own, how.training, path, phases, checkpoint=checkpoint)


@torch.inference_mode()
def judged(
    net: nn.Module, data: ClientData, precision: str = "float32", size: int = 512
) -> tuple[Tensor, Tensor]:
    """Of each image whether `net` is right, bool (n,), and its last features, float32 (n, d).

    Both on the CPU; as in `evaluate`, `size` images at a time or what of it fits.
    """
    net.eval()
    device = next(net.parameters(), data.labels).device

    def every(size: int) -> tuple[Tensor, Tensor]:
        seen: list[Tensor] = []
        with (
            net.fc.register_forward_pre_hook(lambda _, given: seen.append(given[0].float().cpu())),
            cast(precision, device),
        ):
            found = [(net(x).argmax(1) == y).cpu() for x, y in data.in_turn(size, device)]
        return torch.cat(found), torch.cat(seen)

    return Fitting("classifying an image").tried(every, size)


def by_class(right: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Accuracy in % on each class, float32 (classes,); NaN for a class without images."""
    hits = torch.bincount(labels, right.float(), minlength=classes)
    return (100 * hits / torch.bincount(labels, minlength=classes)).float()


def separation(features: Tensor, labels: Tensor) -> Tensor:
    """Mean silhouette of each class's features (n, d) among all, float32 (classes,)."""
    from sklearn.metrics import silhouette_samples  # a second of imports

    each = torch.from_numpy(silhouette_samples(features.numpy(), labels.numpy()))
    return (torch.bincount(labels, each) / torch.bincount(labels)).float()
