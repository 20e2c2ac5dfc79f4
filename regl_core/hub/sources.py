"""Where the foundation models come from: shipped, a folder, or the hub's local cache."""

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..engine import not_in_key
from ..errors import Halt, ReglError
from ..params import FoundationSettings
from ..settings.frozen import shown
from .layouts import LAYOUTS, Layout, is_id, snapshot, wanting

SHIPPED = Path(__file__).parents[1] / "shipped"
PARTS = tuple(LAYOUTS)
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Part:
    """One of the three models: what the settings, at `key`, say of where it comes from."""

    kind: str
    key: str
    name: str | None  # a folder or an id on the hub
    revision: str | None

    @property
    def layout(self) -> Layout:
        """Its files."""
        return LAYOUTS[self.kind]

    @property
    def path(self) -> Path | None:
        """The folder that `name` is, None where it is none."""
        # A relative folder that does not exist would be taken for a hub id.
        folder = Path(self.name or "").expanduser()
        # `Path.is_dir` raises where a name is too long to be one.
        return folder.resolve() if self.name and os.path.isdir(folder) else None

    @property
    def on_hub(self) -> bool:
        """Whether `name` is no folder and can be an id on the hub."""
        given = self.name or "."
        return not self.path and not given.startswith((".", "~", "/")) and is_id(given)

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
        found = snapshot(self.name, self.revision, self.layout)
        if found is None:
            asked = f" at revision {self.revision!r}" if self.revision else ""
            raise ReglError(
                f"{self.key}: {self.name}{asked} ({self.kind}) is not in the hub's local cache, "
                "and no run downloads; make models with the same PROFILE does, or name its folder"
            )
        return found

    def problems(self) -> list[str]:
        """What keeps it from being loaded, a line each, told from names and headers."""
        try:
            folder = self.folder()
        except ReglError as error:
            return [str(error)]
        mend = "make models, with the same PROFILE" if self.on_hub else "copy the whole model there"
        return [
            f"{self.key}: {self.name} ({self.kind}): {text} in {folder}; {mend}"
            for text in wanting(self.layout, folder)
        ]


@dataclass(frozen=True)
class Sources:
    """Where the models that `settings` name come from."""

    settings: FoundationSettings

    def parts(self) -> tuple[Part, ...]:
        """The three of them, in the order of PARTS; of shipped ones the folders."""
        how, shipped = self.settings, self._shipped()
        if shipped:
            return tuple(Part(kind, "foundation.name", str(shipped / kind), None) for kind in PARTS)
        named = (
            ("name", how.name, how.revision),
            ("image_encoder", how.image_encoder, how.image_encoder_revision),
            ("captioner", how.captioner, how.captioner_revision),
        )
        return tuple(
            Part(kind, f"foundation.{key}", name, revision)
            for kind, (key, name, revision) in zip(PARTS, named, strict=True)
        )

    def _shipped(self) -> Path | None:
        folder = SHIPPED / self.settings.name
        return folder if folder in SHIPPED.iterdir() else None  # ".." would be its parent

    def problems(self) -> list[str]:
        """What keeps the models from being loaded, a line each, told from names and headers."""
        try:
            if shipped := self._shipped():
                verify(shipped)
        except ReglError as error:
            return [str(error)]
        return [text for part in self.parts() for text in part.problems()]

    def folders(self) -> tuple[Path, ...]:
        """Where they lie. ReglError where `problems` finds any, with all of them."""
        if wrong := self.problems():
            raise ReglError("\n".join(wrong))
        return tuple(part.folder() for part in self.parts())

    def digest(self) -> str:
        """SHA-256 (hex) of the number format and the models: of their bytes, or id and commit.

        Raises ReglError as `folders` does.
        """
        total = hashlib.sha256(self.settings.dtype.encode())
        for part, folder in zip(self.parts(), self.folders(), strict=True):
            if part.path is None:
                total.update(f"{part.name}@{folder.name}".encode())
                continue
            for path in part.layout.files(folder):
                stat = path.stat()
                total.update(str(path.relative_to(folder)).encode())
                total.update(_hashed(path, stat.st_mtime_ns, stat.st_size))
        return total.hexdigest()

    def same(self, digest: str) -> tuple[Path, ...]:
        """What `folders` gives. Halt if `digest` gives another: the files have changed."""
        if self.digest() != digest:
            raise Halt("the models have changed while this program ran; run it again")
        return self.folders()


def verify(folder: Path) -> None:
    """Check every file of a shipped foundation against its list of checksums.

    Raises ReglError naming the first file that is missing, altered or not on the list.
    """
    mend = "restore it from git (git checkout -- regl_core/shipped) or run make foundation"
    listed = {}
    if not (folder / SUMS).is_file():
        raise ReglError(f"foundation: {folder / SUMS} is missing; {mend}")
    for line in (folder / SUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    present = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {SUMS}
    for name in sorted(listed.keys() | present):
        if name not in present:
            raise ReglError(f"foundation: {folder / name} is missing; {mend}")
        if name not in listed:
            raise ReglError(f"foundation: {folder / name} is not on {SUMS}; remove it, or {mend}")
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != listed[name]:
            raise ReglError(
                f"foundation: {folder / name} is not the file that was shipped "
                f"(sha256 {found[:12]}…, expected {listed[name][:12]}…); {mend}"
            )


@cache
def _hashed(path: Path, mtime_ns: int, size: int) -> bytes:
    """SHA-256 of a file, read once: it can be of many gigabytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
