"""`make bench-gpu`: what one GPU reaches at true sizes, and what share of a bare loop that is.

Stable Diffusion 1.5 at 512 pixels, LoRA on it, BLIP-2, CLIP ViT-L/14 and federated ResNet34 at 224
pixels, all with random weights, in under ten minutes and with nobody watching: what fails, or takes
too long, is said and costs no other line. Without a GPU small models take the same ways on the CPU,
in a minute; those numbers say nothing of a GPU.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from regl_core import params

from .gpu_generation import Generation
from .gpu_training import Training
from .lines import Findings
from .measuring import Amounts, Machine, Section, run

RESULTS = params.ROOT / "tools" / "bench" / "results"  # in git
TINY = params.ROOT / "build" / "bench"  # not in git: those numbers are no result
SECONDS = 540  # of ten minutes; the rest is for imports


def sections(machine: Machine) -> list[Section]:
    """All that is measured; what may take longest comes last."""
    if machine.tiny:
        settings, side = params.load("smoke", {"lora.steps": 3, "synthesis.batch_size": 2}), 64
        amounts = Amounts(lessons=4, captions=2, features=4, counts=(16, 32), tested=32)
    else:
        # Of the paper's 1,000 steps of tuning enough for what happens once to weigh little.
        settings, side = params.load("paper", {"lora.steps": 40}), 224
        amounts = Amounts(lessons=16, captions=64, features=256, counts=(1024, 1024), tested=256)
    federation = Training(machine, settings.training, side, amounts)
    models = Generation(machine, settings, side, amounts)
    return [
        Section("federated rounds", 4, federation.rounds),
        Section("ways to train", 3, federation.ways),
        Section("images in a file", 1, federation.streamed),
        Section("sampling", 4, models.sampled),
        Section("sampling with an adapter", 4, models.sampled_tuned),
        Section("tuning", 3, models.tuned),
        Section("image features", 1, models.embedded),
        Section("single passes", 1, models.passes),
        Section("captions", 2, models.captioned, models.forget),
    ]


def bench(machine: Machine, seconds: float, folder: Path) -> Findings:
    """Measures all there is within `seconds`, prints it, and writes it to `folder` (`Findings`)."""
    title = "the tiny version, without a GPU" if machine.tiny else "random weights at true sizes"
    print(f"{machine.name}: {title}", flush=True)
    findings = Findings(folder, machine.name, title)
    run(sections(machine), seconds, findings)
    return findings


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures this machine."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.gpu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="that it may take")
    parser.add_argument("--folder", type=Path, help="where results are written")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    machine = Machine.here()
    folder = asked.folder or (TINY if machine.tiny else RESULTS)
    bench(machine, asked.seconds, folder)
    print(f"written to {folder}")


if __name__ == "__main__":
    main()
