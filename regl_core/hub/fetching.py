"""What is there of a profile's models, and getting the rest from the hub: `make models`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ReglError
from ..params import Settings
from ..settings import in_one
from ..system import check_room
from .components import Component
from .sources import Sources


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
    sources = Sources(settings.foundation)
    failed = _downloaded([it for it in sources.components() if it.on_hub and it.missing()])
    for it in sources.components():
        if not it.missing():
            print(_found(it), flush=True)
    # Of a model whose download has failed that is said, and not that it is missing.
    wrong = [
        text
        for text in sources.problems(settings.lora.visual_token)
        if text.partition(":")[0] not in failed
    ]
    if wrong or failed:
        raise ReglError(in_one([*failed.values(), *wrong]))


def _found(component: Component) -> str:
    folder = component.folder()
    size = sum(path.stat().st_size for path in component.files.of(folder)) / 1e9
    what = f"{component.name} at commit {folder.name}, in" if component.on_hub else "in"
    return f"{component.kind}: {size:.2f} GB, {what} {folder}"


def _downloaded(missing: Sequence[Component]) -> dict[str, str]:
    """Download what is `missing`; of those that failed, by key, why."""
    from huggingface_hub import constants, snapshot_download

    cache, failed, sizes = Path(constants.HF_HUB_CACHE), {}, {}

    def asked(it: Component, **how: Any) -> Any:
        what = {"revision": it.revision, "allow_patterns": it.files.patterns}
        try:
            return snapshot_download(it.name, cache_dir=cache, **what, **how)
        except Exception as error:  # a network fails in many ways, and no failure ends the others
            failed[it.key] = _why(it, error, cache)

    for it in missing:
        if files := asked(it, dry_run=True):
            sizes[it] = sum(file.file_size or 0 for file in files if file.will_download)
    otherwise = ", or set HF_HOME to a folder on a larger disk"
    check_room(sum(sizes.values()), cache, "the models", otherwise)
    for it, size in sizes.items():
        print(f"{it.kind}: downloading {it.name}, {size / 1e9:.2f} GB", flush=True)
        asked(it)
    return failed


def _why(component: Component, error: Exception, cache: Path) -> str:
    """Why `component` could not be downloaded, in one line, and what to do."""
    cause = error.__cause__ or error
    return (
        f"{component.key}: {component.name} ({component.kind}) could not be downloaded "
        f"({type(cause).__name__}: {' '.join(str(cause).split())}); check the id and its revision; "
        "where its owner asks for it, accept the terms on its page and set HF_TOKEN to a token of "
        f"yours (or: hf auth login); try again, or copy it from another machine, into {cache} as "
        f"it is in the cache there, or into a folder that {component.key} names"
    )
