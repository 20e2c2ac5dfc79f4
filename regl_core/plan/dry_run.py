"""Stages to be planned, not computed: data sets and models need not be at hand."""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import torch

from ..data import Dataset, Split
from ..datasets import PACKED, Listing, Loader, Subset
from ..engine.stage import Stage
from ..errors import ReglError
from ..hub.sources import Sources
from ..params import FoundationSettings
from ..pipeline import Pipeline
from ..stages.inputs import Models, Size, Source

ABSENT = "not at hand"  # in the place of a digest, which no stored result has in its key


class Outline(Pipeline):
    """Builds the same stages as a `Pipeline`, with what is published where something is missing.

    Attributes
    ----------
    notes
        What stands in for what, a line each.
    lacking
        What is wrong with data sets or models, a line each; empty if all of it can be computed.
    unpacked
        By data set, how many bytes of decoded images are to be written.
    """

    def __init__(self, packed: Path = PACKED) -> None:
        super().__init__(packed)
        self.notes: list[str] = []
        self.lacking: list[str] = []
        self.unpacked: dict[str, int] = {}

    def _read(self, loader: Loader) -> tuple[Source, Dataset]:
        if problems := loader.problems():
            self._lacks(problems)
            listing, said = loader.nominal(), "not whole here: planned with its published numbers"
        elif (pack := loader.pack()) and pack.bytes_missing():
            listing, said = loader.listed(), "to be decoded first"
        else:
            return super()._read(loader)
        side = loader.settings.image_side
        images = len(listing.train) + len(listing.test)
        self.notes.append(f"data set {loader.name}: {said}, {images:,} images")
        self.unpacked[loader.name] = images * 3 * side**2
        dataset = _outlined(loader.name, listing, side)
        digest = f"{ABSENT}: {loader.name} {loader.settings.model_dump_json()}"
        return Source(loader.kind, digest, loader, Size.of(dataset)), dataset

    def _identified(self, settings: FoundationSettings) -> Models:
        try:
            return super()._identified(settings)
        except ReglError as error:
            self._lacks(str(error).splitlines())
            digest = f"{ABSENT}: {settings.model_dump_json()}"
            return Models(digest, settings.device, Sources(settings))

    def _lacks(self, problems: list[str]) -> None:
        self.lacking += [text for text in problems if text not in self.lacking]


def absent(stages: Iterable[Stage]) -> list[str]:
    """What an `Outline` built `stages` without, in words; data sets not yet decoded too."""
    values = (getattr(stage, field.name) for stage in stages for field in fields(stage))
    found = [
        it for it in values if isinstance(it, Source | Models) and it.digest.startswith(ABSENT)
    ]
    names = {f"data set {it.loader.name}" for it in found if isinstance(it, Source)}
    return sorted(names) + ["the models"] * any(isinstance(it, Models) for it in found)


def _outlined(name: str, listing: Listing, side: int) -> Dataset:
    """A data set whose images have a number and a size, and no content."""

    def split(part: Subset) -> Split:
        shape = len(part), 3, side, side
        images = torch.empty(shape, dtype=torch.uint8, device="meta")
        return Split(images, torch.from_numpy(part.labels))

    return Dataset(name, listing.classes, split(listing.train), split(listing.test))
