"""The three foundation models on this machine: where each lies, and whether it is whole.

Each is in the hub's layout, in a folder or in the hub's local cache. All that can be told from
names, settings and headers is told from those, before a library is imported: a missing file, or
one that was cut short, would else come out after minutes, and of an index or an adapter the
libraries load what no key knows of.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..engine import not_in_key
from ..errors import ReglError
from ..settings import shown

SHIPPED = Path(__file__).parents[1] / "shipped"


@dataclass(frozen=True)
class ModelFiles:
    """The files of one kind of model that are read.

    entry : the one without which nothing is there. needed : of each of these at least one.
    weights : safetensors without their ending, each one file, or several with an index. model :
    what `entry` says of the model, and which are known here.
    """

    entry: str
    needed: tuple[tuple[str, ...], ...]
    weights: tuple[str, ...]
    model: tuple[str, tuple[str, ...]]

    @property
    def patterns(self) -> list[str]:
        """What the names of all its files match, and none of the same weights in another form."""
        parts = [f"{name}{end}" for name in self.weights for end in ("", "-*-of-*")]
        return ["*.json", "*.txt", *(f"{part}.safetensors" for part in parts)]

    def of(self, folder: Path) -> list[Path]:
        """Those in `folder`, in order."""
        named = {it.relative_to(folder).as_posix(): it for it in _files(folder)}
        wanted = (it for it in sorted(named) if any(fnmatch(it, own) for own in self.patterns))
        return [named[name] for name in wanted]


PROCESSOR = ("preprocessor_config.json", "processor_config.json")
FILES: Mapping[str, ModelFiles] = {
    "stable-diffusion": ModelFiles(
        entry="model_index.json",
        needed=(
            ("scheduler/scheduler_config.json",),
            ("text_encoder/config.json",),
            ("tokenizer/tokenizer.json", "tokenizer/vocab.json"),
            ("unet/config.json",),
            ("vae/config.json",),
        ),
        weights=(
            "text_encoder/model",
            "unet/diffusion_pytorch_model",
            "vae/diffusion_pytorch_model",
        ),
        model=("_class_name", ("StableDiffusionPipeline",)),
    ),
    "image-encoder": ModelFiles(
        entry="config.json",
        needed=(PROCESSOR,),
        weights=("model",),
        model=("model_type", ("clip", "clip_vision_model")),
    ),
    "captioner": ModelFiles(
        entry="config.json",
        needed=(PROCESSOR, ("tokenizer.json", "vocab.json", "vocab.txt")),
        weights=("model",),
        model=("model_type", ("blip", "blip-2")),
    ),
}


@dataclass(frozen=True)
class Component:
    """One of the three models: what the settings, at `key`, say of where it comes from."""

    kind: str
    key: str
    name: str | None  # a folder or an id on the hub
    revision: str | None

    @property
    def files(self) -> ModelFiles:
        """Those of its kind."""
        return FILES[self.kind]

    @property
    def path(self) -> Path | None:
        """The folder that `name` is, None where it is none."""
        # A relative folder that does not exist would be taken for a hub id. `Path.is_dir` raises
        # where a name is too long to be one.
        folder = os.path.expanduser(self.name or "")
        return Path(folder).resolve() if os.path.isdir(folder) else None

    @property
    def on_hub(self) -> bool:
        """Whether `name` is no folder and can be an id on the hub, owner/name."""
        if self.path:
            return False
        from huggingface_hub.utils import HFValidationError, validate_repo_id

        with suppress(HFValidationError):
            validate_repo_id(self.name)
            return self.name.count("/") == 1
        return False

    @not_in_key
    def check(self) -> None:
        """ReglError where `name` is nothing that could be a model, here or on the hub."""
        if self.name is None:
            raise ReglError(f"{self.key}: null, expected the {self.kind}: a folder or a hub id")
        if not self.path and not self.on_hub:
            raise ReglError(
                f"{self.key}: {shown(self.name)} ({self.kind}) is neither a folder nor a hub id "
                f"(owner/name); shipped: {', '.join(sorted(p.name for p in SHIPPED.iterdir()))}"
            )

    def folder(self) -> Path:
        """Where it lies. Raises ReglError where it is not on this machine."""
        self.check()
        if self.path:
            return self.path
        from huggingface_hub import constants, try_to_load_from_cache

        cache, entry = constants.HF_HUB_CACHE, self.files.entry
        found = try_to_load_from_cache(self.name, entry, cache_dir=cache, revision=self.revision)
        if not isinstance(found, str):
            asked = f" at revision {self.revision!r}" if self.revision else ""
            raise ReglError(
                f"{self.key}: {self.name}{asked} ({self.kind}) is not in the hub's local cache, "
                "and no run downloads; make models with the same PROFILE does, or name its folder"
            )
        return Path(found).parent  # whose name is the commit

    def missing(self) -> list[str]:
        """What is not there or damaged, a line each, told from names and headers."""
        try:
            folder = self.folder()
        except ReglError as error:
            return [str(error)]
        mend = "make models, with the same PROFILE" if self.on_hub else "copy the whole model there"
        return [
            f"{self.key}: {self.name} ({self.kind}): {text} in {folder}; {mend}"
            for text in _missing(self.files, folder)
        ]

    def unfit(self) -> list[str]:
        """In words, that it is none of the models known here; empty if it is, or is not here."""
        settings = self.settings(self.files.entry)
        field, known = self.files.model
        found = settings.get(field)
        if settings and found not in known:
            return [
                f"{self.key}: {self.name} is of the type {found}, expected {' or '.join(known)}"
            ]
        if found == "blip-2" and settings.get("image_token_index") is None:
            return [
                f"{self.key}: {self.name} is a BLIP-2 without image_token_index: of an early "
                "revision, take a later one"
            ]
        return []

    def settings(self, file: str) -> dict[str, Any]:
        """What a JSON file of it says; empty where it is not here or cannot be read."""
        try:
            return _mapping(self.folder() / file) or {}
        except ReglError:
            return {}


def _files(folder: Path) -> list[Path]:
    """All files below `folder`, those in linked folders too, as the libraries follow links."""
    walk = os.walk(folder, followlinks=True)
    return sorted(Path(place, name) for place, _, names in walk for name in names)


def _missing(files: ModelFiles, folder: Path) -> Iterator[str]:
    """What keeps a model in `folder` from being loaded."""
    found = _files(folder)
    told = {path: _mapping(path) for path in found if path.suffix == ".json"}
    for choice in ((files.entry,), *files.needed):
        there = [folder / name for name in choice if (folder / name).is_file()]
        if not there:
            yield f"{' or '.join(choice)} is missing"
        for path in there:
            if path in told and told[path] is None:
                yield f"{path.relative_to(folder)} is damaged"
    for path in found:
        name = path.relative_to(folder)
        if path.name == "adapter_config.json":
            # transformers would load it unasked, from a file that is none of `files`.
            yield (
                f"{name} is that of an adapter, which would alter the weights: merge it into them, "
                "or remove it"
            )
        if path.suffix == ".py" or "auto_map" in (told.get(path) or {}):
            yield f"{name} is or names code of the model's own, which is never run: remove it"
    for name in files.weights:
        for path, text in _unread(folder / name):
            yield f"{path.relative_to(folder)} {text}"


def _mapping(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds; None if that cannot be read or is something else."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError):
        return None
    return found if isinstance(found, dict) else None


def _unread(stem: Path) -> Iterator[tuple[Path, str]]:
    """Which files of the weights `stem` cannot be read, and why."""
    name = stem.name
    whole, index = (stem.with_name(f"{name}.safetensors{end}") for end in ("", ".index.json"))
    shards = [whole] if whole.is_file() else []
    if index.is_file():  # diffusers goes by it even where all is in one file too
        # Whatever it names would be loaded, so it must be one of the files that digests know.
        pattern, named = f"{name}-*-of-*.safetensors", (_mapping(index) or {}).get("weight_map")
        names = [*named.values()] if isinstance(named, dict) else []
        sound = (isinstance(it, str) and fnmatch(it, pattern) and "/" not in it for it in names)
        if not names or not all(sound):
            yield index, f"is damaged, expected a weight_map from tensors to {pattern} beside it"
            return
        shards += [stem.with_name(it) for it in sorted(set(names))]
    if not shards:
        ends = ".safetensors", ".bin", ".ckpt", ".pt", ".pth"
        others = sorted(it.name for it in stem.parent.glob("*") if it.suffix in ends)
        why = f": not {', '.join(others)}; rename it, or convert a pickle, which can run code"
        yield whole, f"is missing{why if others else ''}"
    for shard in shards:
        try:
            with safe_open(shard, framework="np"):  # reads the header; "pt" would import torch
                pass
        except FileNotFoundError:
            yield shard, "is missing"
        except (SafetensorError, OSError) as error:
            yield shard, f"is damaged ({error})"
