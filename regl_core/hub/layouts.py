"""Models in the hub's layout, on this machine: in a folder or in the hub's local cache."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors import SafetensorError, safe_open

from ..settings.frozen import shown


@dataclass(frozen=True)
class Layout:
    """The files of one kind of model that are read.

    entry: the one without which nothing is there. needed: of each of these at least one. weights:
    safetensors without their ending, each one file, or several with an index.
    """

    entry: str
    needed: tuple[tuple[str, ...], ...]
    weights: tuple[str, ...]

    @property
    def patterns(self) -> list[str]:
        """What the names of all its files match, and none of the same weights in another form."""
        parts = [f"{name}{end}" for name in self.weights for end in ("", "-*-of-*")]
        return ["*.json", "*.txt", *(f"{part}.safetensors" for part in parts)]

    def files(self, folder: Path) -> list[Path]:
        """Those in `folder`, in order."""
        named = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
        matched = (
            path
            for name, path in sorted(named.items())
            if any(fnmatch(name, pattern) for pattern in self.patterns)
        )
        return [path for path in matched if path.is_file()]


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "stable-diffusion": Layout(
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
        ),
        "image-encoder": Layout(
            entry="config.json",
            needed=(("preprocessor_config.json", "processor_config.json"),),
            weights=("model",),
        ),
        "captioner": Layout(
            entry="config.json",
            needed=(
                ("preprocessor_config.json", "processor_config.json"),
                ("tokenizer.json", "vocab.json", "vocab.txt"),
            ),
            weights=("model",),
        ),
    }
)


def is_id(name: str) -> bool:
    """Whether `name` can be the id of a model on the hub, owner/name."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return name.count("/") == 1


def snapshot(name: str, revision: str | None, layout: Layout) -> Path | None:
    """The folder of the model `name` in the hub's local cache; its own name is the commit.

    `revision`: a branch, tag or commit; None: the branch that was downloaded without one. None is
    returned where it is not in the cache; nothing is downloaded.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    cache = constants.HF_HUB_CACHE
    found = try_to_load_from_cache(name, layout.entry, cache_dir=cache, revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def wanting(layout: Layout, folder: Path) -> list[str]:
    """What keeps a model in `folder` from being loaded, told from names and headers alone."""
    found = []
    for choice in ((layout.entry,), *layout.needed):
        there = [folder / name for name in choice if (folder / name).is_file()]
        if not there:
            found.append(f"{' or '.join(choice)} is missing")
        found += [f"{path.relative_to(folder)} is damaged" for path in there if not _sound(path)]
    for path in sorted(folder.rglob("adapter_config.json")):
        # transformers would load it unasked, from a file that is none of `Layout.files`.
        found.append(
            f"{path.relative_to(folder)} is that of an adapter, which would alter the weights: "
            "merge it into them, or remove it"
        )
    return found + [text for name in layout.weights for text in _unread(folder / name, folder)]


def _sound(path: Path) -> bool:
    """Whether a file of settings can be read."""
    return path.suffix != ".json" or _mapping(path) is not None


def _mapping(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds; None if that cannot be read or is something else."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError):
        return None
    return found if isinstance(found, dict) else None


def _listed(index: Path, stem: str) -> tuple[list[str], str]:
    """The files of weights that `index` names, and what is wrong with it, in words, or "".

    Whatever it names would be loaded, so it must be among `Layout.files`, which digests know.
    """
    names = (_mapping(index) or {}).get("weight_map")
    if not isinstance(names, dict) or not names:
        return [], "is damaged: expected a weight_map from tensors to files"
    pattern = f"{stem}-*-of-*.safetensors"
    for name in names.values():
        if not isinstance(name, str) or "/" in name or "\0" in name or not fnmatch(name, pattern):
            return [], f"names {shown(name)}, expected {pattern} beside it"
    return sorted(set(names.values())), ""


def _unread(stem: Path, folder: Path) -> list[str]:
    """What is wrong with the weights `stem`."""
    name = stem.relative_to(folder)
    index = stem.with_name(f"{stem.name}.safetensors.index.json")
    shards = [path.name for path in [stem.with_name(f"{stem.name}.safetensors")] if path.is_file()]
    if index.is_file():  # diffusers goes by it even where all is in one file too
        named, problem = _listed(index, stem.name)
        if problem:
            return [f"{name.with_name(index.name)} {problem}"]
        shards += named
    if not shards:
        others = sorted(path.name for path in stem.parent.glob("*") if path.is_file())
        half = [other for other in others if fnmatch(other, f"{stem.name}.*.safetensors")]
        pickles = [other for other in others if other.endswith((".bin", ".ckpt", ".pt", ".pth"))]
        if half:
            return [f"{name}.safetensors is missing, and {half[0]} is not taken for it: rename it"]
        if pickles:
            return [
                f"{name}.safetensors is missing, and {pickles[0]} is a pickle, which can run code: "
                "only safetensors are read"
            ]
        return [f"{name}.safetensors is missing"]
    found = []
    for shard in shards:
        try:
            with safe_open(stem.with_name(shard), framework="pt"):
                pass
        except FileNotFoundError:
            found.append(f"{name.with_name(shard)} is missing")
        except (SafetensorError, OSError) as error:
            found.append(f"{name.with_name(shard)} is damaged ({error})")
    return found
