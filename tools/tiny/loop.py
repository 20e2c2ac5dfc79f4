"""One resumable training loop for the four models of the tiny foundation."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from regl_core.engine import Checkpoint, stepwise
from regl_core.seeds import derive

SAVE_EVERY = 60.0  # seconds: the most a kill can cost


def seeded(build: Callable[[], nn.Module], *path: int | str) -> nn.Module:
    """`build()` with its random initialisation drawn from the generator named by `path`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(*path))
        return build()


def train(
    name: str,
    module: nn.Module,
    loss: Callable[[nn.Module, int], torch.Tensor],
    *,
    steps: int,
    rate: float,
    folder: Path,
    average: float = 0.998,
) -> nn.Module:
    """Minimise ``loss(module, step)`` by AdamW; return the exponential average of the weights.

    `rate` is the peak learning rate: 200 steps of warm-up, then a cosine to zero. Whatever
    is random in a step must derive from its number: a run that was killed goes on from
    what is saved in `folder` every minute, and ends with the same bytes.
    """
    mean = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(average))
    optimiser = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=1e-3)
    module.train()
    with tqdm(desc=name, total=steps, mininterval=10) as bar:

        def step(number: int) -> None:
            warm = min((number + 1) / 200, 1.0)
            for group in optimiser.param_groups:
                group["lr"] = rate * warm * 0.5 * (1 + math.cos(math.pi * number / steps))
            value = loss(module, number)
            optimiser.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            mean.update_parameters(module)
            if number % 50 == 0:
                bar.set_postfix(loss=f"{value.item():.4f}", refresh=False)
            bar.update(number + 1 - bar.n)

        checkpoint = Checkpoint(folder, name, SAVE_EVERY)
        stepwise(step, steps, (module, mean, optimiser), checkpoint)
    return mean.module.eval()
