"""Stages to be planned, not computed: built without data sets and models, and what is in the way.

What does not fit into a memory says so when it happens, with what to lower.
"""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import torch

from .. import foundation
from ..data import Dataset, Split
from ..datasets import PACKED, Loader, Subset
from ..engine import Stage
from ..errors import ReglError
from ..hub import Sources
from ..params import FoundationSettings, Settings
from ..pipeline import Pipeline
from ..stages import Models, Size, Source
from ..system import check_room
from .counts import BYTE, of, total
from .validity import into

ABSENT = "not at hand"  # in the place of a digest, which no stored result has in its key


class DryRun(Pipeline):
    """Builds the same stages as a `Pipeline`, with what is published where something is missing.

    notes : what stands in for what, a line each. lacking : what is wrong with data sets or models,
    a line each. unpacked : by data set, how many bytes of decoded images are to be written.
    """

    def __init__(self, packed: Path = PACKED) -> None:
        super().__init__(packed)
        self.notes: list[str] = []
        self.lacking: list[str] = []
        self.unpacked: dict[str, int] = {}

    def problems(self, stages: Iterable[Stage], settings: Settings, root: Path) -> list[str]:
        """What keeps `stages` from being computed into a store at `root`, a line each.

        Data sets and models that are missing or not whole, a device that is not there, a disk that
        is too small for images and weights.
        """
        work, found = total(map(of, stages)), list(self.lacking)
        if any(unit.model and not unit.side for unit in work):
            found += foundation.problems(settings.foundation, settings.lora.visual_token)
        if any(unit.side for unit in work):
            with into(found, "training."):
                foundation.pick_device(settings.training.device)
        with into(found, "disk: "):
            needed = work.get(BYTE, 0) + sum(self.unpacked.values())
            check_room(needed, root, "results", " or ask for less (DATASETS, SEEDS, TABLES)")
        return list(dict.fromkeys(found))

    def _read(self, loader: Loader) -> tuple[Source, Dataset]:
        if problems := loader.problems():
            self.lacking += problems
            listing, said = loader.nominal(), "not whole here: planned with its published numbers"
        elif loader.bytes_missing():
            listing, said = loader.listed(), "to be decoded first"
        else:
            return super()._read(loader)
        side = loader.settings.image_side
        images = len(listing.train) + len(listing.test)
        self.notes.append(f"data set {loader.name}: {said}, {images:,} images")
        self.unpacked[loader.name] = images * 3 * side**2

        def split(part: Subset) -> Split:  # images with a number and a size, and no content
            shape = len(part), 3, side, side
            images = torch.empty(shape, dtype=torch.uint8, device="meta")
            return Split(images, torch.from_numpy(part.labels))

        dataset = Dataset(loader.name, listing.classes, split(listing.train), split(listing.test))
        digest = f"{ABSENT}: {loader.name} {loader.settings.model_dump_json()}"
        return Source(loader.kind, digest, loader, Size.of(dataset)), dataset

    def _identified(self, settings: FoundationSettings) -> Models:
        try:
            return super()._identified(settings)
        except ReglError as error:
            self.lacking += str(error).splitlines()
            digest = f"{ABSENT}: {settings.model_dump_json()}"
            return Models(digest, settings.device, Sources(settings))


def absent(stages: Iterable[Stage]) -> list[str]:
    """What a `DryRun` built `stages` without, in words; data sets not yet decoded too."""
    values = (getattr(stage, field.name) for stage in stages for field in fields(stage))
    found = [
        it for it in values if isinstance(it, Source | Models) and it.digest.startswith(ABSENT)
    ]
    names = {f"data set {it.loader.name}" for it in found if isinstance(it, Source)}
    return sorted(names) + ["the models"] * any(isinstance(it, Models) for it in found)
