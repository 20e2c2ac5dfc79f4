"""Whether artefacts are what the present notebooks, settings, code and data would make.

When a notebook has come to its end, notebooks/<name>.json beside its copy records what it was
made from and the checksums of its files. `states` compares that with what is there now. What is
put together from the files of several artefacts is `assembly`'s.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat

from ..datasets import Unfit
from ..engine import Stage, closure, code_digest
from ..paper import PUBLISHED
from ..params import Settings
from ..pipeline import Pipeline
from ..plan.dry_run import ABSENT, absent
from ..report.catalogue import ENDINGS
from ..report.provenance import digest, libraries
from ..system import put


@dataclass(frozen=True)
class Making:
    """What an artefact is made from. Digests; two equal ones make the same files.

    notebook : of its code cells.
    settings : of all settings, as provenance names it.
    libraries : names and versions.
    stages : of the code of the stages behind it, by kind.
    results : of the keys of the stages asked for; data and model files count in them.
    code : of what the notebook imports, which arranges and draws.
    data : of the data sets at hand, by name, for a notebook that asks for no stages.
    published : of the paper's numbers, for a table, which shows them beside ours.
    lacking : what is not at hand, so that `results` or `data` cannot be told.
    """

    notebook: str
    settings: str
    libraries: str
    stages: Mapping[str, str]
    results: str
    code: str
    data: Mapping[str, str]
    published: str
    lacking: Sequence[str] = ()


@dataclass(frozen=True)
class State:
    """`word` is fresh, stale, missing, or unknown: it may be stale, which cannot be told here.

    `why` says what is no longer as it was, or what is not at hand.
    """

    artefact: str
    word: str
    why: str


def makings(
    names: Iterable[str],
    asked: Mapping[str, Sequence[Stage]],
    settings: Settings,
    notebooks: Path,
    data: Mapping[str, str] | None = None,
) -> dict[str, Making]:
    """What each artefact of `names` would be made from now.

    asked : the stages that the notebooks in `notebooks` ask for (`grids.targets_of`).
    data : the data sets (`data_sets`), which count for the other notebooks.
    """
    return {
        name: _making(notebooks / f"{name}.ipynb", asked.get(name), settings, data or {})
        for name in names
    }


def data_sets(settings: Settings, pipeline: Pipeline) -> dict[str, str]:
    """Digests of the data sets of `settings`, by name; of one not at hand it begins with ABSENT.

    pipeline : an `Outline`, for which none is decoded.
    """
    found = {}
    for name in settings.datasets:
        try:
            found[name] = pipeline.source(name, settings)[0].digest
        except Unfit:  # nothing is published of an image folder
            found[name] = ABSENT
    return found


def record(name: str, makings: Mapping[str, Making], folder: Path) -> None:
    """Write down in `folder`/notebooks that `name` has been made from `makings[name]`."""
    write_record(name, asdict(makings[name]), files_of(name, folder), folder)


def write_record(name: str, making: Mapping, files: Mapping[str, str], folder: Path) -> None:
    """Write `folder`/notebooks/`name`.json: what the `files`, checksums by name, were made from."""
    text = json.dumps({"making": making, "files": files}, indent=1, sort_keys=True) + "\n"
    put({f"{name}.json": text.encode()}, folder / "notebooks")


def read_record(name: str, folder: Path) -> tuple[dict, dict[str, str]]:
    """What `write_record` wrote. OSError, ValueError, TypeError or KeyError if it is not there."""
    facts = json.loads((folder / "notebooks" / f"{name}.json").read_bytes())
    return dict(facts["making"]), dict(facts["files"])


UNRECORDED = "it is not recorded what it was made from"


def states(makings: Mapping[str, Making], folder: Path) -> list[State]:
    """For each artefact of `makings` whether its files in `folder` are what would be made now."""
    return [_state(name, now, folder) for name, now in makings.items()]


def _state(name: str, now: Making, folder: Path) -> State:
    files = files_of(name, folder)
    if not any((folder / f"{name}.{ending}").is_file() for ending in ENDINGS):
        return State(name, "missing", "")
    try:
        making, known = read_record(name, folder)
        before = Making(**making)
    except (OSError, ValueError, TypeError, KeyError):
        return State(name, "stale", UNRECORDED)
    # The executed copy is not in git. Without it the artefact is still what would be made.
    copy = f"notebooks/{name}.ipynb"
    notes = [f"its executed copy {copy} is missing"] if copy not in files else []
    known = {file: its for file, its in known.items() if file in files or file != copy}
    if reasons := [*_differences(before, now), *altered(known, files)]:
        return State(name, "stale", "; ".join([*reasons, *notes]))
    if now.lacking:
        why = f"cannot be told without {', '.join(now.lacking)}"
        return State(name, "unknown", "; ".join([why, *notes]))
    return State(name, "fresh", "; ".join(notes))


def _differences(before: Making, now: Making) -> list[str]:
    reasons = []
    if before.notebook != now.notebook:
        reasons.append("the notebook was edited")
    reasons += changed_surroundings(before, now)
    both = before.stages.keys() & now.stages.keys()
    edited = sorted(kind for kind in both if before.stages[kind] != now.stages[kind])
    if edited:
        reasons.append(f"the code of {', '.join(edited)} was edited")
    elif before.results != now.results and not reasons and not now.lacking:
        reasons.append("the data or model files have changed")
    if before.code != now.code and not edited:
        reasons.append("the code that arranges and draws it was edited")
    told = {name: its for name, its in now.data.items() if not its.startswith(ABSENT)}
    others = [it for it in sorted(told.keys() & before.data) if told[it] != before.data[it]]
    if others:
        reasons.append(f"the data set {', '.join(others)} has changed")
    if before.published != now.published:
        reasons.append(f"{PUBLISHED.name} was edited")
    return reasons


def changed_surroundings(before: "Making", now: "Making") -> list[str]:
    """Whether settings and libraries are others; of whatever has these two."""
    reasons = []
    if before.settings != now.settings:
        reasons.append(f"other settings ({before.settings}, now {now.settings})")
    if before.libraries != now.libraries:
        old, new = set(before.libraries.split(", ")), set(now.libraries.split(", "))
        reasons.append(f"other libraries ({', '.join(sorted(old - new))})")
    return reasons


def altered(known: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """How `files` differ from those `known`, checksums by name, in words."""
    lacking, added = sorted(known.keys() - files.keys()), sorted(files.keys() - known.keys())
    edited = sorted(name for name in known.keys() & files.keys() if known[name] != files[name])
    told = (("is missing", lacking), ("was added", added), ("was altered", edited))
    return [f"{', '.join(names)} {what}" for what, names in told if names]


def _making(
    notebook: Path, targets: Sequence[Stage] | None, settings: Settings, data: Mapping[str, str]
) -> Making:
    cells = nbformat.read(notebook, as_version=4).cells
    source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    behind = closure(targets or ()).values()
    code: dict[str, set[str]] = {}
    for stage in behind:
        code.setdefault(stage.kind, set()).add(code_digest(*stage.code()))
    data = data if targets is None else {}
    unread = [f"data set {name}" for name, its in data.items() if its.startswith(ABSENT)]
    return Making(
        notebook=sha256(source.encode()),
        settings=digest(settings),
        libraries=libraries(),
        stages={kind: sha256(repr(sorted(found)).encode()) for kind, found in code.items()},
        results=sha256(repr([stage.key for stage in targets or ()]).encode()),
        code=code_digest(program=source),
        data=data,
        published=sha256(PUBLISHED.read_bytes()) if notebook.stem.startswith("table") else "",
        lacking=[*absent(behind), *unread],
    )


def files_of(name: str, folder: Path) -> dict[str, str]:
    """The files of an artefact that are there, its executed copy and page too: checksums."""
    paths = [f"{name}.{ending}" for ending in ENDINGS]
    paths += [f"notebooks/{name}.{ending}" for ending in ("ipynb", "html")]
    return {it: _checksum(folder / it) for it in paths if (folder / it).is_file()}


def _checksum(path: Path) -> str:
    """Of a notebook's cells and what they gave, without times, which are others in every run."""
    content = path.read_bytes()
    try:
        cells = json.loads(content)["cells"] if path.suffix == ".ipynb" else None
        read = cells and [[it["source"], it.get("outputs")] for it in cells]
    except (ValueError, TypeError, LookupError):
        read = None
    return sha256(repr(read).encode() if read else content)


def sha256(content: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(content).hexdigest()
