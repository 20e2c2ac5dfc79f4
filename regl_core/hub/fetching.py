"""What is there of a profile's models, and getting the rest from the hub: `make models`."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from ..errors import ReglError
from ..foundation import problems
from ..params import Settings
from ..settings.frozen import report
from .sources import Part, Sources


def fetch(settings: Settings) -> None:
    """Print of each model where it is, and download what is missing of those with an id on the hub.

    Only safetensors, in one precision, settings and tokenizers are downloaded; what was begun is
    gone on with.

    Raises
    ------
    ReglError
        Some model cannot be used, or the disk is too small for all that is missing; that is told
        before the first is downloaded.
    """
    parts = Sources(settings.foundation).parts()
    failed = _downloaded([part for part in parts if part.on_hub and part.problems()])
    for part in parts:
        if not part.problems():
            print(_found(part), flush=True)
    cpu = settings.foundation.model_copy(update={"device": "cpu"})  # no GPU is needed for this
    # Of a model whose download has failed that is said, and not that it is missing.
    wrong = [
        text
        for text in problems(cpu, settings.lora.visual_token)
        if text.partition(":")[0] not in failed
    ]
    if wrong or failed:
        raise ReglError(report([*failed.values(), *wrong]))


def _found(part: Part) -> str:
    folder = part.folder()
    size = sum(path.stat().st_size for path in part.layout.files(folder)) / 1e9
    what = f"{part.name} at commit {folder.name}, in" if part.on_hub else "in"
    return f"{part.kind}: {size:.2f} GB, {what} {folder}"


def _downloaded(parts: Sequence[Part]) -> dict[str, str]:
    """Download `parts`; of those that failed, by key, why."""
    from huggingface_hub import constants, snapshot_download

    cache, failed, missing = Path(constants.HF_HUB_CACHE), {}, {}
    for part in parts:
        what = {"revision": part.revision, "allow_patterns": part.layout.patterns}
        try:
            files = snapshot_download(part.name, cache_dir=cache, dry_run=True, **what)
            missing[part] = sum(file.file_size or 0 for file in files if file.will_download)
        except Exception as error:  # a network fails in many ways, and no failure ends the others
            failed[part.key] = _why(part, error, cache)
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    needed, free = sum(missing.values()), shutil.disk_usage(there).free
    if needed > free:
        raise ReglError(
            f"the models need {needed / 1e9:.1f} GB more below {cache}, where {free / 1e9:.1f} GB "
            "are free; free some space, or set HF_HOME to a folder on a larger disk"
        )
    for part, size in missing.items():
        print(f"{part.kind}: downloading {part.name}, {size / 1e9:.2f} GB", flush=True)
        what = {"revision": part.revision, "allow_patterns": part.layout.patterns}
        try:
            snapshot_download(part.name, cache_dir=cache, **what)
        except Exception as error:
            failed[part.key] = _why(part, error, cache)
    return failed


def _why(part: Part, error: Exception, cache: Path) -> str:
    """Why `part` could not be downloaded, and what to do."""
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    cause = error.__cause__ or error
    if isinstance(cause, GatedRepoError):
        why = (
            "its owner gives access to those who ask: accept the terms on its page, then set "
            "HF_TOKEN to a token of yours (or: hf auth login)"
        )
    elif isinstance(cause, RepositoryNotFoundError):
        why = (
            "the hub has no such model, or it is private: check the id, or set HF_TOKEN to a token "
            "of yours (or: hf auth login)"
        )
    elif isinstance(cause, RevisionNotFoundError):
        why = f"it has no revision {part.revision!r}: check {part.key} and its revision"
    else:
        said = str(cause).strip().partition("\n")[0]
        why = (
            f"the hub could not be reached or failed ({type(cause).__name__}: {said}): try again, "
            f"or copy the model from another machine, into {cache} as it is in the cache there, or "
            f"into a folder that {part.key} names"
        )
    return f"{part.key}: {part.name} ({part.kind}) could not be downloaded; {why}"
