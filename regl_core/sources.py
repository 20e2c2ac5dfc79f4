"""Where the foundation models come from: shipped, a folder, or the hub's local cache."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .errors import ReglError
from .hub import LAYOUTS, Layout, is_id, snapshot, wanting
from .params import FoundationSettings

SHIPPED = Path(__file__).parent / "weights"
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
        return folder.resolve() if self.name and folder.is_dir() else None

    def folder(self) -> Path:
        """Where it lies. Raises ReglError where it does not."""
        if self.path:
            return self.path
        if self.name is None:
            raise ReglError(f"{self.key}: null, expected the {self.kind}: a folder or a hub id")
        if self.name.startswith((".", "~", "/")) or not is_id(self.name):
            raise ReglError(
                f"{self.key}: {self.name!r} ({self.kind}) is neither a folder nor a hub id "
                f"(owner/name); shipped: {', '.join(sorted(p.name for p in SHIPPED.iterdir()))}"
            )
        found = snapshot(self.name, self.revision, self.layout)
        if found is None:
            asked = f" at revision {self.revision!r}" if self.revision else ""
            raise ReglError(
                f"{self.key}: {self.name}{asked} ({self.kind}) is not in the hub's local cache, "
                "and no run downloads; make models with the same PROFILE does, or name its folder"
            )
        return found


def parts(settings: FoundationSettings) -> tuple[Part, ...]:
    """The three models of `settings`, in the order of PARTS; of shipped ones the folders."""
    shipped = SHIPPED / settings.name
    if shipped.parent == SHIPPED and shipped.is_dir():
        verify(shipped)
        return tuple(Part(kind, "foundation.name", str(shipped / kind), None) for kind in PARTS)
    named = (
        ("name", settings.name, settings.revision),
        ("image_encoder", settings.image_encoder, settings.image_encoder_revision),
        ("captioner", settings.captioner, settings.captioner_revision),
    )
    return tuple(
        Part(kind, f"foundation.{key}", name, revision)
        for kind, (key, name, revision) in zip(PARTS, named, strict=True)
    )


def folders(settings: FoundationSettings) -> tuple[Path, ...]:
    """The folders of the three models of PARTS.

    Raises ReglError where parts are not named or not on this machine, naming all of them.
    """
    found, wrong = [], []
    for part in parts(settings):
        try:
            found.append(part.folder())
        except ReglError as error:
            wrong.append(str(error))
    if wrong:
        raise ReglError("\n".join(wrong))
    return tuple(found)


def verify(folder: Path) -> None:
    """Check every file of a shipped foundation against its list of checksums.

    Raises ReglError naming the first file that is missing, altered or not on the list.
    """
    mend = "restore it from git (git checkout -- regl_core/weights) or run make foundation"
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


def digest(settings: FoundationSettings) -> str:
    """A digest of the number format and of the models: of their bytes, or of id and commit.

    Raises ReglError where one of them is not on this machine, or not whole.
    """
    own = list(zip(parts(settings), folders(settings), strict=True))
    if wrong := [text for part, folder in own for text in incomplete(part, folder)]:
        raise ReglError("\n".join(wrong))
    total = hashlib.sha256(settings.dtype.encode())
    for part, folder in own:
        if part.path is None:
            total.update(f"{part.name}@{folder.name}".encode())
            continue
        for path in part.layout.files(folder):
            stat = path.stat()
            total.update(str(path.relative_to(folder)).encode())
            total.update(_hashed(path, stat.st_mtime_ns, stat.st_size))
    return total.hexdigest()


def incomplete(part: Part, folder: Path) -> list[str]:
    """What keeps `part`, which lies in `folder`, from being loaded, and what to do."""
    mend = "copy the whole model there" if part.path else "make models with the same PROFILE"
    return [
        f"{part.key}: {part.name} ({part.kind}): {text} (in {folder}); {mend}"
        for text in wanting(part.layout, folder)
    ]


@cache
def _hashed(path: Path, mtime_ns: int, size: int) -> bytes:
    """SHA-256 of a file, read once: it can be of many gigabytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
