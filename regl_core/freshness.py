"""Whether artefacts are what the present notebooks, settings, code and data would make.

When a notebook has come to its end, notebooks/<name>.json beside its copy records what it was
made from and the checksums of its files. `states` compares that with what is there now.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat

from .digest import code_digest, imported
from .files import put
from .gallery import ENDINGS
from .params import Settings
from .provenance import digest, libraries
from .runner import closure
from .stage import Stage


@dataclass(frozen=True)
class Making:
    """What an artefact is made from. Digests; two equal ones make the same files.

    notebook : of its code cells.
    settings : of all settings, as provenance names it.
    libraries : names and versions.
    stages : of the code of the stages behind it, by kind.
    results : of the keys of the stages asked for; data and model files count in them.
    code : of what the notebook imports, which arranges and draws.
    """

    notebook: str
    settings: str
    libraries: str
    stages: Mapping[str, str]
    results: str
    code: str


@dataclass(frozen=True)
class State:
    """`word` is fresh, stale or missing; `why` says what is no longer as it was."""

    artefact: str
    word: str
    why: str


def makings(
    names: Iterable[str],
    asked: Mapping[str, Sequence[Stage]],
    settings: Settings,
    notebooks: Path,
) -> dict[str, Making]:
    """What each artefact of `names` would be made from now.

    asked : the stages that the notebooks in `notebooks` ask for (`planning.targets_of`).
    """
    return {
        name: _making(notebooks / f"{name}.ipynb", asked.get(name, ()), settings) for name in names
    }


def record(name: str, makings: Mapping[str, Making], folder: Path) -> None:
    """Write down in `folder`/notebooks that `name` has been made from `makings[name]`."""
    facts = {"making": asdict(makings[name]), "files": _files(name, folder)}
    text = json.dumps(facts, indent=1, sort_keys=True) + "\n"
    put({f"{name}.json": text.encode()}, folder / "notebooks")


def states(makings: Mapping[str, Making], folder: Path) -> list[State]:
    """For each artefact of `makings` whether its files in `folder` are what would be made now."""
    return [_state(name, now, folder) for name, now in makings.items()]


def _state(name: str, now: Making, folder: Path) -> State:
    files = _files(name, folder)
    if not files:
        return State(name, "missing", "")
    try:
        facts = json.loads((folder / "notebooks" / f"{name}.json").read_bytes())
        before, known = Making(**facts["making"]), facts["files"]
    except (OSError, ValueError, TypeError, KeyError):
        return State(name, "stale", "it is not recorded what it was made from")
    reasons = [*_differences(before, now), *_altered(known, files)]
    return State(name, "stale" if reasons else "fresh", "; ".join(reasons))


def _differences(before: Making, now: Making) -> list[str]:
    reasons = []
    if before.notebook != now.notebook:
        reasons.append("the notebook was edited")
    if before.settings != now.settings:
        reasons.append(f"other settings ({before.settings}, now {now.settings})")
    if before.libraries != now.libraries:
        old, new = set(before.libraries.split(", ")), set(now.libraries.split(", "))
        reasons.append(f"other libraries ({', '.join(sorted(old - new))})")
    both = before.stages.keys() & now.stages.keys()
    edited = sorted(kind for kind in both if before.stages[kind] != now.stages[kind])
    if edited:
        reasons.append(f"the code of {', '.join(edited)} was edited")
    elif before.results != now.results and not reasons:
        reasons.append("the data or model files have changed")
    if before.code != now.code and not edited:
        reasons.append("the code that arranges and draws it was edited")
    return reasons


def _altered(known: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    lacking, added = sorted(known.keys() - files.keys()), sorted(files.keys() - known.keys())
    edited = sorted(name for name in known.keys() & files.keys() if known[name] != files[name])
    told = (("is missing", lacking), ("was added", added), ("was altered", edited))
    return [f"{', '.join(names)} {what}" for what, names in told if names]


def _making(notebook: Path, targets: Sequence[Stage], settings: Settings) -> Making:
    cells = nbformat.read(notebook, as_version=4).cells
    source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    code: dict[str, set[str]] = {}
    for stage in closure(targets).values():
        code.setdefault(stage.kind, set()).add(code_digest(*stage.code()))
    names = imported(source)
    return Making(
        notebook=_sha256(source.encode()),
        settings=digest(settings),
        libraries=libraries(),
        stages={kind: _sha256(repr(sorted(found)).encode()) for kind, found in code.items()},
        results=_sha256(repr([stage.key for stage in targets]).encode()),
        code=code_digest(*sorted(names)) if names else "",
    )


def _files(name: str, folder: Path) -> dict[str, str]:
    """The files of an artefact that are there, with their checksums."""
    paths = [folder / f"{name}.{ending}" for ending in ENDINGS]
    return {path.name: _sha256(path.read_bytes()) for path in paths if path.is_file()}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
