"""All that a rehearsal alters in params/paper.yaml: places, sizes, and how networks are rounded."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

IMAGENET = ("imagefruit", "imagenet100")  # two choices of classes from one folder
ALL = (*IMAGENET, "cub", "cars", "eurosat")
DATA = "data"  # folder of the data sets

SIZES: Mapping[str, Any] = MappingProxyType(
    {
        "seeds": [0],  # five would take five times as long, in the same code
        "foundation.device": "cpu",  # there need not be a GPU
        "training.device": "cpu",
        "synthesis.sampling_steps": 2,  # the second of a multistep sampler uses the first
        "synthesis.per_stage": 2,  # a stage has as many images of a class as are asked for
        "lora.steps": 2,  # the second has a first one's optimiser
        "training.model": "resnet_small",  # 300 ResNet34s would be 25 GB; RESNET34 has some
        "training.width": 8,  # the smallest
        # A processor without bfloat16 is 8 to 20 times slower with it; tests/test_precision has it.
        "training.precision": "float32",
        "training.rounds": 2,  # so that what a server or client keeps is used
        "personalization.epochs": 2,  # so that one is the best
        "ablations.global_shares": [0.0, 0.3],  # the ends of five
        "ablations.betas": [0.01, 0.5],  # the ends of five
        "ablations.local_epochs": [1, 5],  # two of four, the usual number among them
        "ablations.clients": [2],  # beside three
        "ablations.synthetic_per_class": [3],  # beside two, so that there is a second stage of them
        "methods.DynaFed.trajectory": 2,  # rounds before the set is made: there are two in all
        "methods.DynaFed.segment": 1,
        "methods.DynaFed.averaged": 1,
        "methods.DynaFed.images_per_class": 1,  # the rest for time
        "methods.DynaFed.inner_steps": 2,
        "methods.DynaFed.iterations": 2,
        "methods.DynaFed.server_epochs": 1,
        "personal_methods.pFedGate.gate_side": 8,  # less than the images'
    }
)
OF_A_DATA_SET: Mapping[str, Any] = MappingProxyType(
    {
        "complete": False,  # the replicas have three classes and some ten images of each
        "clients": 3,  # with β = 0.01 one may be without images
        "synthetic_per_class": 2,
        "image_side": 48,  # as at full size less than the models'; a ResNet34 wants more than 32
    }
)
EUROSAT = MappingProxyType({"image_side": 40})  # smaller than the others, as in params/paper.yaml
RESNET34: Mapping[str, Any] = MappingProxyType(
    {
        "training.model": "resnet34",
        "training.width": 64,
        "training.local_epochs": 1,  # for time, as one β
        "betas": [0.5],  # and for disk: 85 MB for each run
        "vanilla_pool": "shared",  # what costs less, where the report has the paper's way
    }
)


def changes(home: Path) -> dict[str, Any]:
    """To the profile, for the whole report: Stable Diffusion 1.5 and the models that go with it."""
    its = {f"datasets.{name}.{key}": it for name in ALL for key, it in OF_A_DATA_SET.items()}
    its |= {f"datasets.eurosat.{key}": it for key, it in EUROSAT.items()}
    its |= {f"datasets.{name}.root": str(home / DATA / name) for name in ALL}
    its |= {f"datasets.{name}.root": str(home / DATA / "imagenet") for name in IMAGENET}
    return its | models(home, "1.5") | SIZES


def changes_for_resnet34(home: Path) -> dict[str, Any]:
    """To the profile, for one table with ResNet34 and Stable Diffusion 2.1."""
    return changes(home) | models(home, "2.1") | RESNET34


def models(home: Path, like: str) -> dict[str, str]:
    """The settings that name the models, each its folder below `home`; like: as in `replica`."""
    return {
        "foundation.name": str(home / f"models/stable-diffusion-{like}"),
        "foundation.image_encoder": str(home / f"models/clip-{like}"),
        "foundation.captioner": str(home / "models/blip2"),
    }
