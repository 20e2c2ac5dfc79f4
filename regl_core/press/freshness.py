"""Whether artefacts are what the present notebooks, settings, code and data would make.

When something has been made, notebooks/<name>.json records what it was made from and the checksums
of its files: of an artefact, once its notebook has come to its end; of `INDEX`, claims.csv,
index.html and README.md, which are put together from the files of artefacts (`making.build`).
`state` compares that with what is there now.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..datasets import Unfit
from ..engine import Stage, closure, code_digest
from ..paper import PUBLISHED
from ..params import ROOT, Settings
from ..report import ENDINGS, digest, libraries
from ..system import put
from .notebooks import cells

if TYPE_CHECKING:
    from ..pipeline import Pipeline

INDEX, ITS_FILES = "index", ("claims.csv", "index.html", "README.md")
# What `making.build` calls, that itself being reached from too much else.
ITS_CODE = (
    ("regl_core.report.claims", "judge"),
    ("regl_core.report.claims", "claims_frame"),
    ("regl_core.report.provenance", "write_csv"),
    ("regl_core.report.page", "render"),
)
PACKAGE = ROOT / "regl_core"
NOTEBOOK, DRAWS = "the notebook", "the code that arranges and draws it"
RESULTS = "the data or model files"
EVERYTHING = "every byte"  # of this package, so that no stage need be asked


@dataclass(frozen=True)
class Making:
    """What something is made from. Digests; two equal ones make the same files.

    parts : by what they are of, in words: settings, libraries, code, keys of stages, data sets.
    files : of what is read besides, by name.
    lacking : what is not at hand, so that it cannot be told whether that has changed.
    """

    parts: Mapping[str, str]
    files: Mapping[str, str]
    lacking: Sequence[str] = ()


@dataclass(frozen=True)
class State:
    """`word` is fresh, stale, missing, or unknown: it may be stale, which cannot be told here.

    `why` says what is no longer as it was, or what is not at hand.
    """

    artefact: str
    word: str
    why: Sequence[str] = ()


def sha256(content: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(content).hexdigest()


def everything(settings: Settings, text: str) -> str:
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


def _always(settings: Settings) -> dict[str, str]:
    used = {f"library {it.partition(' ')[0]}": it for it in libraries().split(", ")}
    return {"the settings": digest(settings), **used}


def of_notebook(
    notebook: Path,
    targets: "Sequence[Stage] | None",
    settings: Settings,
    data: Mapping[str, str] = {},
    lacking: Sequence[str] = (),
) -> Making:
    """What the artefact of `notebook` would be made from now.

    targets : the stages that it asks for (`grids`), None if it has no grid. data : the data sets
    (`data_sets`), which then count instead. lacking : what is not at hand to build its stages.
    """
    from ..plan import ABSENT, absent

    source, behind = _source(notebook), closure(targets or ()).values()
    kinds: dict[str, set[str]] = {}
    for stage in behind:
        kinds.setdefault(stage.kind, set()).add(code_digest(*stage.code))
    read = {} if targets is not None else data
    there = {name: its for name, its in read.items() if not its.startswith(ABSENT)}
    lacking = [*lacking, *absent(behind), *(name for name in read if name not in there)]
    keys = {} if lacking else {RESULTS: repr([stage.key for stage in targets or ()])}
    parts = {
        **_always(settings),
        **{f"the code of {it}": sha256(repr(sorted(own)).encode()) for it, own in kinds.items()},
        DRAWS: code_digest(program=source),
        NOTEBOOK: sha256(source.encode()),
        **{name: sha256(text.encode()) for name, text in keys.items()},
        **there,
        EVERYTHING: everything(settings, source),
    }
    table = notebook.stem.startswith("table")  # which shows the paper's numbers beside ours
    return Making(parts, _checksums([PUBLISHED] * table), lacking)


def of_index(folder: Path, settings: Settings, root: Path) -> Making:
    """What claims.csv and index.html would be put together from now.

    root : where notebooks/ lie.
    """
    files = _checksums(
        [
            *(it for it in folder.glob("*.*") if it.name not in ITS_FILES),
            *folder.glob("notebooks/*.html"),
            *root.glob("notebooks/*.ipynb"),
            *root.glob("regl_core/paper/*.svg"),
            *PACKAGE.glob("report/templates/*"),
            PUBLISHED,
        ]
    )
    return Making(_always(settings) | {DRAWS: code_digest(*ITS_CODE)}, files)


def _checksums(paths: Iterable[Path]) -> dict[str, str]:
    return {it.name: sha256(it.read_bytes()) for it in paths if it.is_file()}


def data_sets(settings: Settings, pipeline: "Pipeline") -> dict[str, str]:
    """Digests of the data sets of `settings`, in words; of one not at hand it begins with ABSENT.

    pipeline : a `DryRun`, for which none is decoded.
    """
    from ..plan import ABSENT

    found = {}
    for name in settings.datasets:
        try:
            found[f"data set {name}"] = pipeline.source(name, settings)[0].digest
        except Unfit:  # nothing is published of an image folder
            found[f"data set {name}"] = ABSENT
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
    before, now = recorded(notebook.stem, folder), everything(settings, _source(notebook))
    return before[0] if before and now and before[0].parts.get(EVERYTHING) == now else None


def state(name: str, now: Making, folder: Path) -> State:
    """Whether the files of `name` in `folder` are what would be made from `now`."""
    files, shown = files_of(name, folder), ", ".join(ITS_FILES) if name == INDEX else name
    if not files.keys() - ({f"{name}.html"} - {*ITS_FILES}):  # but for its page
        return State(shown, "missing")
    if (found := recorded(name, folder)) is None:
        return State(shown, "stale", ["it is not recorded what it was made from"])
    before, made = found
    others = [it for it in _others(before.parts, now.parts) if it != EVERYTHING]
    # The keys of stages hold their settings and code too.
    others = [it for it in others if it != RESULTS] or others
    changed = [f"changed: {', '.join(others)}"] * bool(others)
    if reasons := [*changed, *_altered(before.files, now.files), *_altered(made, files)]:
        return State(shown, "stale", reasons)
    if now.lacking:
        return State(shown, "unknown", [f"cannot be told without {it}" for it in now.lacking])
    return State(shown, "fresh")


def state_of_index(folder: Path, settings: Settings, root: Path, behind: Sequence[State]) -> State:
    """`state` of claims.csv and index.html; `behind` are those of the artefacts."""
    its = state(INDEX, of_index(folder, settings, root), folder)
    for word, told in (("stale", "is stale"), ("unknown", "cannot be told")):
        names = ", ".join(it.artefact for it in behind if it.word == word)
        if names and its.word in ("fresh", word):
            its = State(its.artefact, word, [*its.why, f"made of what {told}: {names}"])
    return its


def _others(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [name for name in sorted(before.keys() & now.keys()) if before[name] != now[name]]


def _altered(known: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """How `files` differ from those `known`, checksums by name, in words."""
    lacking, added = sorted(known.keys() - files.keys()), sorted(files.keys() - known.keys())
    told = (("is missing", lacking), ("was added", added), ("was altered", _others(known, files)))
    return [f"{', '.join(names)} {what}" for what, names in told if names]


def files_of(name: str, folder: Path) -> dict[str, str]:
    """Checksums of the files of `name` that are there, its page too; its copy is not in git."""
    paths = [*(f"{name}.{ending}" for ending in ENDINGS), f"notebooks/{name}.html"]
    return _checksums(folder / it for it in (ITS_FILES if name == INDEX else paths))


def _source(notebook: Path) -> str:
    return "\n".join(cell.source for cell in cells(notebook) if cell.code)
