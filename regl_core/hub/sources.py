"""Where the foundation models come from: shipped, a folder, or the hub's local cache."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import Halt, ReglError
from ..params import FoundationSettings
from . import components
from .components import FILES, Component

SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Sources:
    """Where the models that `settings` name come from."""

    settings: FoundationSettings

    def components(self) -> tuple[Component, ...]:
        """The three of them, in the order of `FILES`; of shipped ones the folders."""
        its, shipped = self.settings, self._shipped()
        if shipped:
            return tuple(Component(it, "foundation.name", str(shipped / it), None) for it in FILES)
        named = (
            ("name", its.name, its.revision),
            ("image_encoder", its.image_encoder, its.image_encoder_revision),
            ("captioner", its.captioner, its.captioner_revision),
        )
        return tuple(
            Component(kind, f"foundation.{key}", name, revision)
            for kind, (key, name, revision) in zip(FILES, named, strict=True)
        )

    def _shipped(self) -> Path | None:
        folder = components.SHIPPED / self.settings.name
        return folder if folder in components.SHIPPED.iterdir() else None  # ".." is its parent

    def problems(self, visual_token: bool = False) -> list[str]:
        """What keeps the models from being used, a line each, told without reading weights.

        visual_token : whether image features enter the text-to-image model, as
        `lora.visual_token` says; then they must have the width of its condition.
        """
        try:
            if shipped := self._shipped():
                verify(shipped)
        except ReglError as error:
            return [str(error)]
        found = [text for it in self.components() for text in it.missing() + it.unfit()]
        return found + (self._widths() if visual_token else [])

    def _widths(self) -> list[str]:
        drawing, seeing, _ = self.components()
        unet, encoder = drawing.settings("unet/config.json"), seeing.settings(seeing.files.entry)
        # The defaults are the libraries' own; the feature's is as `foundation.opened` finds it.
        condition, feature = (
            unet.get("cross_attention_dim", 1280),
            encoder.get("projection_dim", 512),
        )
        if not unet or not encoder or condition == feature:
            return []
        return [
            f"{seeing.key}: the image features of {seeing.name} have {feature} numbers, expected "
            f"{condition} as the condition of {drawing.name} has; name the CLIP whose text encoder "
            "that is (1.5: ViT-L/14, 2.1: OpenCLIP ViT-H/14), or set lora.visual_token to false"
        ]

    def folders(self) -> tuple[Path, ...]:
        """Where they lie. ReglError where `problems` finds any, with all of them."""
        if wrong := self.problems():
            raise ReglError("\n".join(wrong))
        return tuple(it.folder() for it in self.components())

    def digest(self) -> str:
        """SHA-256 (hex) of the number format and the models: of their bytes, or id and commit.

        Raises ReglError as `folders` does.
        """
        total = hashlib.sha256(self.settings.dtype.encode())
        for it, folder in zip(self.components(), self.folders(), strict=True):
            if it.path is None:
                total.update(f"{it.name}@{folder.name}".encode())
                continue
            for path in it.files.of(folder):
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
    if not (folder / SUMS).is_file():
        raise ReglError(f"foundation: {folder / SUMS} is missing; {mend}")
    rows = (line.partition("  ") for line in (folder / SUMS).read_text().splitlines())
    listed = {name: digest for digest, _, name in rows}
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != SUMS
    }
    for name in sorted(listed.keys() | found.keys()):
        if listed.get(name) != found.get(name):
            what = "missing" if name not in found else "not the file that was shipped"
            raise ReglError(f"foundation: {folder / name} is {what}; {mend}")


@cache
def _hashed(path: Path, mtime_ns: int, size: int) -> bytes:
    """SHA-256 of a file, read once: it can be of many gigabytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
