"""One stored result: a folder of files with an entry.json that holds their checksums."""

import errno
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..system import machines, sync
from .digest import library_versions
from .stage import Stage, canonical, described

ENTRY = "entry.json"
Seen = set[tuple[Path, int, int, str]]  # path, time in ns, bytes and checksum of a verified file


class Damage(Exception):
    """An entry is not what was written; the text says in what."""


def write(stage: Stage, folder: Path, seconds: float) -> None:
    """Write entry.json about the files in `folder`, and bring them all safely to the disk."""
    entry = {
        "kind": stage.kind,
        "key": stage.key,
        "fields": described(stage),
        "files": {name: _sha256(path) for name, path in _files(folder).items()},
        "seconds": seconds,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "libraries": library_versions(),
        "machine": _machine(),
    }
    Path(folder, ENTRY).write_bytes(_rendered(entry).encode())
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def read(folder: Path) -> dict[str, Any]:
    """The content of entry.json. Raises Damage where it is not as it was written."""
    path = Path(folder, ENTRY)
    try:
        if path.is_file():  # who opens a pipe waits for ever
            text = path.read_bytes().decode()
            entry = json.loads(text)
            if text == _rendered({name: entry[name] for name in entry if name != "checksum"}):
                return entry
    except (FileNotFoundError, ValueError, TypeError, LookupError, RecursionError):
        pass  # neither text nor JSON, of another form, or deleted this very moment
    raise Damage(f"{ENTRY} is missing or has changed")


def verify(folder: Path, key: str, seen: Seen) -> None:
    """Raise Damage unless `folder` holds the stage `key`, whole and with nothing added.

    A file in `seen` is not read again; one that is found intact is added to it.
    """
    entry, found = read(folder), _files(folder)
    if entry.get("key") != key:
        raise Damage(f"{ENTRY} is of another stage")
    # An older version of this program may have written it.
    expected = entry["files"] if isinstance(entry.get("files"), dict) else {}
    for name in sorted(expected.keys() | found.keys()):
        path = folder / name
        try:
            now = path.stat()
            identity = path, now.st_mtime_ns, now.st_size, str(expected.get(name))
            if identity not in seen:
                if not path.is_file() or _sha256(path) != expected.get(name):
                    raise Damage(f"{name} has changed")
                seen.add(identity)
        except OSError as error:
            # A disk that cannot be read, or may not be, says nothing of the entry.
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            raise Damage(f"{name} is missing") from None


def _rendered(entry: dict[str, Any]) -> str:
    """The text of entry.json, which holds a checksum of itself."""
    checksum = hashlib.sha256(canonical(entry).encode()).hexdigest()
    return json.dumps({**entry, "checksum": checksum}, indent=1, sort_keys=True) + "\n"


def _files(folder: Path) -> dict[str, Path]:
    """All files below `folder` but entry.json, by relative path."""
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {name: path for name, path in paths.items() if name != ENTRY and not path.is_dir()}


def _machine() -> dict[str, str]:
    """What computed here: "cpu" and perhaps "cuda" by name, the "instructions" torch makes use of.

    None of it is in a key: the same for another processor may differ in the last bits.
    """
    import torch  # which whoever computes a stage has loaded

    return {**machines(), "instructions": torch.backends.cpu.get_cpu_capability()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
