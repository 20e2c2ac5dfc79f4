"""What another CPU changes: the same runs with the vector instructions of an old one.

Libraries choose their kernels by the CPU, and these add up in another order. Here they are told to
use none newer than SSE 4.1. A few minutes; nothing is stored.
"""

import os
import statistics
import tempfile
from pathlib import Path

from regl_core import params
from regl_core.engine import Store
from regl_core.partition import Dirichlet
from regl_core.pipeline import Pipeline
from regl_core.runs import Run, run_all
from regl_core.stages import load_images

OLD = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
}


def runs(method: str, seeds: tuple[int, ...], settings: params.Settings) -> list[Run]:
    clients = settings.datasets["digits"].clients
    partition = Dirichlet(beta=0.5, clients=clients)
    shared = {"dataset": "digits", "partition": partition, "settings": settings}
    return [Run(method=method, seed=seed, **shared) for seed in seeds]


def main() -> None:
    settings = params.load("desk")
    grids = {
        "FedAvg": runs("FedAvg", settings.seeds, settings),
        "SCAFFOLD": runs("SCAFFOLD", settings.seeds, settings),
        "ReGL (FT)": runs("ReGL (FT)", settings.seeds[:2], settings),
    }
    with tempfile.TemporaryDirectory() as folder:
        here, there = Store(Path(folder, "here")), Store(Path(folder, "there"))
        ours = {method: run_all(own, here) for method, own in grids.items()}
        os.environ.update(OLD)  # workers start anew and inherit it
        others = {method: run_all(own, there) for method, own in grids.items()}
        print("accuracy in %: method, here, on the older CPU; difference: of a run, of the mean")
        for method in grids:
            one, other = ([it.accuracy_pct for it in found[method]] for found in (ours, others))
            apart = [abs(a - b) for a, b in zip(one, other, strict=True)]
            means = statistics.mean(one), statistics.mean(other)
            print(
                f"{method:9} {means[0]:.2f} {means[1]:.2f}  mean {statistics.mean(apart):.2f}, "
                f"largest {max(apart):.2f}, {abs(means[0] - means[1]):.2f} ({len(one)} runs)"
            )
        tailored = grids["ReGL (FT)"][0].stage(Pipeline()).inputs[0]
        for name, stage in {"TF": tailored.tuned.vanilla, "FT": tailored}.items():
            one, other = (load_images(store.path(stage)).float() for store in (here, there))
            same, most = (one == other).float().mean(), (one - other).abs().max()
            print(f"{name} images: {100 * same:.2f} % of grey levels equal, apart by {most:.0f}")


if __name__ == "__main__":
    main()
