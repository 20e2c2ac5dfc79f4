"""Whether artefacts are what the present notebooks, settings, code and data would make.

When something has been made, notebooks/<name>.json records what it was made from and the checksums
of its files: of an artefact, once its notebook has come to its end; of claims.csv and index.html,
which are put together from the files of artefacts (`making.build`), under the names in SUMMARIES.
`state` compares that with what is there now.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..datasets import Unfit
from ..engine import Stage, closure, code_digest
from ..paper import PUBLISHED
from ..params import ROOT, Settings
from ..report import ENDINGS, ORDER, digest, libraries
from ..system import put
from .notebooks import cells, known

if TYPE_CHECKING:
    from ..pipeline import Pipeline

SUMMARIES = {"claims": "claims.csv", "index": "index.html"}  # file, by the name of its record
READ = {"claims": ("csv",), "index": ("csv", "md", "png")}  # of each artefact, the others linked
# What `making.build` calls, that itself being reached from too much else.
JUDGED = (
    ("regl_core.report.claims", "judge"),
    ("regl_core.report.claims", "claims_frame"),
    ("regl_core.report.provenance", "write_csv"),
)
CODE = {"claims": JUDGED, "index": (*JUDGED, ("regl_core.report.page", "render"))}
PACKAGE = ROOT / "regl_core"
NOTEBOOK, DRAWS = "the notebook", "the code that arranges and draws it"


@dataclass(frozen=True)
class Making:
    """What something is made from. Digests; two equal ones make the same files.

    settings : of all settings, as provenance names it.
    libraries : names and versions.
    code : by what it is the code of, in words.
    files : of what is read besides, by name; of what is only linked, that it is there.
    data : of the data sets at hand, by name, for a notebook that asks for no stages.
    results : of the keys of the stages asked for; data and model files count in them.
    lacking : what is not at hand, so that `results` or `data` cannot be told.
    whole : of all of the above at once, cheaply (`whole`); "" where that cannot be.
    """

    settings: str
    libraries: str
    code: Mapping[str, str]
    files: Mapping[str, str]
    data: Mapping[str, str]
    results: str = ""
    lacking: Sequence[str] = ()
    whole: str = ""


@dataclass(frozen=True)
class State:
    """`word` is fresh, stale, missing, or unknown: it may be stale, which cannot be told here.

    `why` says what is no longer as it was, or what is not at hand.
    """

    artefact: str
    word: str
    why: Sequence[str] = ()


def whole(settings: Settings, text: str) -> str:
    """Digest of every byte that can matter to what the code `text` makes at `settings`, or "".

    Where data sets, models or the device are not this repository's own, they can change without
    it; then it is "".
    """
    devices = {settings.foundation.device, settings.training.device}
    outside = any(its.root for its in settings.datasets.values()) or "auto" in devices
    if outside or settings.foundation.name not in os.listdir(PACKAGE / "shipped"):
        return ""
    return sha256(repr((_package(), digest(settings), libraries(), text)).encode())


@cache
def _package() -> str:
    """Digest of this package, the models in it too, as it is when first asked."""
    paths = sorted(path for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts)
    files = {str(path): sha256(path.read_bytes()) for path in paths if path.is_file()}
    return sha256(repr(files).encode())


def of_notebook(
    notebook: Path,
    targets: "Sequence[Stage] | None",
    settings: Settings,
    data: Mapping[str, str] = {},
) -> Making:
    """What the artefact of `notebook` would be made from now.

    targets : the stages that it asks for (`grids`), None if it has no grid. data : the data sets
    (`data_sets`), which then count instead.
    """
    from ..plan import ABSENT, absent

    source, behind = _source(notebook), closure(targets or ()).values()
    kinds: dict[str, set[str]] = {}
    for stage in behind:
        kinds.setdefault(stage.kind, set()).add(code_digest(*stage.code))
    code = {f"the code of {it}": sha256(repr(sorted(own)).encode()) for it, own in kinds.items()}
    code[DRAWS] = code_digest(program=source)
    data = data if targets is None else {}
    unread = [f"data set {name}" for name, its in data.items() if its.startswith(ABSENT)]
    table = notebook.stem.startswith("table")  # which shows the paper's numbers beside ours
    return Making(
        settings=digest(settings),
        libraries=libraries(),
        code={**code, NOTEBOOK: sha256(source.encode())},
        files={PUBLISHED.name: sha256(PUBLISHED.read_bytes())} if table else {},
        data={name: its for name, its in data.items() if not its.startswith(ABSENT)},
        results=sha256(repr([stage.key for stage in targets or ()]).encode()),
        lacking=[*absent(behind), *unread],
        whole=whole(settings, source),
    )


def of_summary(name: str, folder: Path, settings: Settings, root: Path, same: str = "") -> Making:
    """What claims.csv or index.html, by `name` in SUMMARIES, would be put together from now.

    root : where notebooks/ lie. same : the digest of the code, where it is known.
    """
    paths = [folder / f"{it}.{end}" for it in ORDER for end in READ[name]] + [PUBLISHED]
    files = {it.name: sha256(it.read_bytes()) for it in paths if it.is_file()}
    if name == "index":
        files |= _beside(folder, root)
    own = same or code_digest(*CODE[name])
    code = {"the code that puts it together": own}
    return Making(digest(settings), libraries(), code, files, {}, whole=whole(settings, name))


def _beside(folder: Path, root: Path) -> dict[str, str]:
    """What the page reads besides artefacts, and what it links."""
    notebooks = known(root / "notebooks")
    linked = [f"{it}.{end}" for it in ORDER for end in ("tex", "pdf")]
    linked += [f"notebooks/{it}.html" for it in notebooks]
    read = [*PACKAGE.glob("report/templates/*"), *root.glob("regl_core/paper/*.svg")]
    first = {it: cells(root / f"notebooks/{it}.ipynb")[:1] for it in notebooks}
    return {
        **{it: "there" for it in linked if (folder / it).is_file()},
        **{f"text of {it}": sha256(repr(own).encode()) for it, own in first.items()},
        **{it.name: sha256(it.read_bytes()) for it in read if it.is_file()},
    }


def data_sets(settings: Settings, pipeline: "Pipeline") -> dict[str, str]:
    """Digests of the data sets of `settings`, by name; of one not at hand it begins with ABSENT.

    pipeline : a `DryRun`, for which none is decoded.
    """
    from ..plan import ABSENT

    found = {}
    for name in settings.datasets:
        try:
            found[name] = pipeline.source(name, settings)[0].digest
        except Unfit:  # nothing is published of an image folder
            found[name] = ABSENT
    return found


def record(name: str, making: Making, folder: Path) -> None:
    """Write down in `folder`/notebooks that the files of `name` have been made from `making`."""
    facts = {"making": asdict(making), "files": files_of(name, folder)}
    text = json.dumps(facts, indent=1, sort_keys=True) + "\n"
    put({f"{name}.json": text.encode()}, folder / "notebooks")


def recorded(name: str, folder: Path) -> tuple[Making, dict[str, str]] | None:
    """What `record` wrote of `name`; None if it is not there."""
    try:
        facts = json.loads((folder / "notebooks" / f"{name}.json").read_bytes())
        return Making(**facts["making"]), dict(facts["files"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def unchanged(notebook: Path, settings: Settings, folder: Path) -> Making | None:
    """What the artefact of `notebook` was made from, where every byte behind it is as it was."""
    before, now = recorded(notebook.stem, folder), whole(settings, _source(notebook))
    return before[0] if before and now and before[0].whole == now else None


def state(name: str, now: Making, folder: Path) -> State:
    """Whether the files of `name` in `folder` are what would be made from `now`."""
    files, shown = files_of(name, folder), SUMMARIES.get(name, name)
    if not any("/" not in file for file in files):
        return State(shown, "missing")
    if (found := recorded(name, folder)) is None:
        return State(shown, "stale", ["it is not recorded what it was made from"])
    # The executed copy is not in git. Without it the artefact is still what would be made.
    before, copy = found[0], f"notebooks/{name}.ipynb"
    made = {file: its for file, its in found[1].items() if file in files or file != copy}
    lost = name not in SUMMARIES and copy not in files
    notes = ["its executed copy is missing"] if lost else []
    if reasons := [*_differences(before, now), *_altered(made, files)]:
        return State(shown, "stale", [*reasons, *notes])
    if now.lacking:
        told = [f"cannot be told without {it}" for it in now.lacking]
        return State(shown, "unknown", [*told, *notes])
    return State(shown, "fresh", notes)


def summary_states(
    folder: Path, settings: Settings, root: Path, behind: Sequence[State]
) -> list[State]:
    """`state` of claims.csv and index.html; `behind` are those of the artefacts."""
    found = []
    for name, file in SUMMARIES.items():
        before = recorded(name, folder)
        same = before and before[0].whole and before[0].whole == whole(settings, name)
        code = next(iter(before[0].code.values())) if same else ""
        now = of_summary(name, folder, settings, root, code)
        its = state(name, now, folder)
        read = {Path(source).stem for source in now.files}
        old, untold = (
            ", ".join(it.artefact for it in behind if it.word == word and it.artefact in read)
            for word in ("stale", "unknown")
        )
        if old and its.word != "missing":
            its = State(file, "stale", [*its.why, f"made of what is stale: {old}"])
        elif untold and its.word == "fresh":
            its = State(file, "unknown", [f"made of what cannot be told: {untold}"])
        found.append(its)
    return found


def _differences(before: Making, now: Making) -> list[str]:
    reasons = []
    if before.settings != now.settings:
        reasons.append(f"other settings ({before.settings}, now {now.settings})")
    if before.libraries != now.libraries:
        old, new = set(before.libraries.split(", ")), set(now.libraries.split(", "))
        reasons.append(f"other libraries ({', '.join(sorted(old - new))})")
    edited = _others(before.code, now.code)
    if any(it.startswith("the code of") for it in edited):
        edited = [it for it in edited if it != DRAWS]  # it reaches theirs
    reasons += [f"{it} was edited" for it in edited]
    reasons += [f"the data set {it} has changed" for it in _others(before.data, now.data)]
    reasons += _altered(before.files, now.files)
    if before.results != now.results and not reasons and not now.lacking:
        reasons.append("the data or model files have changed")
    return reasons


def _others(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [name for name in sorted(before.keys() & now.keys()) if before[name] != now[name]]


def _altered(known: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """How `files` differ from those `known`, checksums by name, in words."""
    lacking, added = sorted(known.keys() - files.keys()), sorted(files.keys() - known.keys())
    told = (("is missing", lacking), ("was added", added), ("was altered", _others(known, files)))
    return [f"{', '.join(names)} {what}" for what, names in told if names]


def files_of(name: str, folder: Path) -> dict[str, str]:
    """Checksums of the files of `name` that are there, its executed copy and page too."""
    paths = [f"{name}.{ending}" for ending in ENDINGS]
    paths += [f"notebooks/{name}.{ending}" for ending in ("ipynb", "html")]
    paths = [SUMMARIES[name]] if name in SUMMARIES else paths
    return {it: _checksum(folder / it) for it in paths if (folder / it).is_file()}


def _checksum(path: Path) -> str:
    """Of a notebook's cells and what they gave, without times, which are others in every run."""
    content = path.read_bytes()
    try:
        found = json.loads(content)["cells"] if path.suffix == ".ipynb" else None
        read = found and [[it["source"], it.get("outputs")] for it in found]
    except (ValueError, TypeError, LookupError):
        read = None
    return sha256(repr(read).encode() if read else content)


def _source(notebook: Path) -> str:
    return "\n".join(cell.source for cell in cells(notebook) if cell.code)


def sha256(content: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(content).hexdigest()
