"""Membership inference on what a client does send: its trained weights."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from ..clients import placed
from ..data import Split
from ..engine import Checkpoint, piecewise
from ..stages import Tick, Updated, final, network, once_more, plain
from . import leakage


@dataclass(frozen=True)
class UpdateAttack(Updated):
    """Every client trains the final global model once more, and the server looks at each update.

    Writes scores.safetensors: of each client with images "<client>.members" and
    "<client>.strangers", float32 (n,), the score of an image as for `AdapterAttack`: here minus the
    cross-entropy under the weights sent, in eval mode (Yeom et al., "Privacy risk in machine
    learning: analyzing the connection to overfitting", 2018).
    """

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        how, (trained, *synthetic) = self.trained, inputs
        dataset = how.source.load()
        net = network(dataset, how.training, how.seed)
        start, device = final(trained, net), next(net.parameters()).device
        data = how.clients(dataset, tuple(synthetic))
        checkpoint = Checkpoint(folder, "clients")

        def turn(client: int) -> dict[str, Tensor] | None:
            if not (part := how.parts[client]):
                return None
            (own,) = placed([data[client]], device)
            once_more(how, net, start, own, client, checkpoint / f"within-{client}")
            images = dataset.train.subset(torch.tensor(part))
            pair = leakage.balanced(images, dataset.test, how.seed, "overheard", client)
            members, strangers = (-losses(net, split) for split in pair)
            return {"members": members, "strangers": strangers}

        scores = {
            f"{client}.{name}": found
            for client, own in enumerate(piecewise(turn, range(len(data)), checkpoint, tick))
            for name, found in (own or {}).items()
        }
        save_file(scores, folder / "scores.safetensors")


@torch.inference_mode()
def losses(net: nn.Module, split: Split, size: int = 512) -> Tensor:
    """Cross-entropy of each image under `net` in eval mode, float32 (n,) on the CPU."""
    net.eval()
    batched = plain(split).in_turn(size, next(net.parameters()).device)
    return torch.cat([F.cross_entropy(net(x), y, reduction="none").cpu() for x, y in batched])
