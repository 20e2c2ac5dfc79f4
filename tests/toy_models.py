"""Small models of the real classes, in folders and in a hub's local cache made by hand."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch

from regl_core.params import Settings, load
from tools.replica import models
from tools.replica.sizes import Like

IDS = {"name": "owner/drawing", "image_encoder": "owner/seeing", "captioner": "owner/saying"}


def written(folder: Path, like: Like = "1.5") -> dict[str, Path]:
    """The three models, below `folder`, by their setting."""
    return {
        "name": models.stable_diffusion(folder / "drawing", like),
        "image_encoder": models.clip(folder / "seeing", like),
        "captioner": models.blip2(folder / "saying"),
    }


def naming(names: Mapping[str, Any], **changes: Any) -> Settings:
    """The smoke settings with these in the group foundation, and `changes` in it."""
    given = {**names, **changes}
    return load("smoke", {f"foundation.{key}": _plain(value) for key, value in given.items()})


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def cached(cache: Path, name: str, model: Path, commit: str, ref: str = "main") -> Path:
    """The files of `model` as snapshot `commit` of `name` in `cache`, which `ref` names."""
    home = cache / f"models--{name.replace('/', '--')}"
    snapshot = home / "snapshots" / commit
    shutil.copytree(model, snapshot, dirs_exist_ok=True)
    (home / "refs").mkdir(exist_ok=True)
    (home / "refs" / ref).write_text(commit)
    return snapshot


@dataclass(frozen=True)
class File:
    """One that the hub says it would send."""

    filename: str
    file_size: int
    will_download: bool


class Hub:
    """Stands in for the hub: what models it has, and what was asked of it."""

    def __init__(self, models: Mapping[str, Path], size: int = 1) -> None:
        self.models, self.size = models, size  # size: of each file, as it is told
        self.told: list[str] = []
        self.sent: dict[str, list[str]] = {}
        self.failing: dict[str, Exception] = {}

    def snapshot_download(
        self,
        repo_id: str,
        *,
        revision: str | None,
        allow_patterns: Iterable[str],
        cache_dir: Path,
        dry_run: bool = False,
    ) -> str | list[File]:
        """As huggingface_hub's; the commit is that of the revision, letters of the id."""
        if repo_id in self.failing:
            raise self.failing[repo_id]
        source, patterns = self.models[repo_id], list(allow_patterns)
        names = sorted(p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file())
        wanted = [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]
        if dry_run:
            self.told.append(repo_id)
            return [File(name, self.size, True) for name in wanted]
        self.sent[repo_id] = wanted
        part = Path(cache_dir) / "part"
        for name in wanted:
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, part / name)
        found = cached(Path(cache_dir), repo_id, part, "c0ffee", revision or "main")
        shutil.rmtree(part)
        return str(found)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty local cache, here and in processes that are started."""
    from huggingface_hub import constants

    folder = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def pictures(count: int, side: int = 64) -> torch.Tensor:
    """Images of noise, uint8 (count, 3, side, side)."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
