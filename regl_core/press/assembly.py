"""Whether claims.csv and index.html are what would be put together from the files there are.

Both are made from files of other artefacts (`reporting.build`). notebooks/claims.json and
notebooks/index.json record from which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat

from ..engine.digest import code_digest
from ..paper import PUBLISHED
from ..params import Settings
from ..report import catalogue
from ..report.notebook_page import TEMPLATES
from ..report.provenance import digest, libraries
from .freshness import (
    UNRECORDED,
    State,
    altered,
    changed_surroundings,
    read_record,
    sha256,
    write_record,
)
from .notebooks import known

MADE = {"claims": "claims.csv", "index": "index.html"}  # file, by the name of its record
READ = {"claims": ("csv",), "index": ("csv", "md", "png")}  # of each artefact, the others linked
# What `reporting.build` calls, that itself being reached from too much else.
JUDGED = (
    ("regl_core.report.claims", "judge"),
    ("regl_core.report.claims", "claims_frame"),
    ("regl_core.report.provenance", "write_csv"),
)
CODE = {"claims": JUDGED, "index": (*JUDGED, ("regl_core.report.page", "render"))}


@dataclass(frozen=True)
class Assembly:
    """What a file is put together from. Digests; two equal ones make the same file.

    sources : of all that is read, by name; of what is only linked, that it is there.
    """

    settings: str
    libraries: str
    code: str
    sources: Mapping[str, str]


def record(folder: Path, settings: Settings, root: Path) -> None:
    """Write down in `folder`/notebooks what both were put together from, `root` as for `build`."""
    for name, file in MADE.items():
        files = {file: sha256((folder / file).read_bytes())}
        write_record(name, asdict(_now(name, folder, settings, root)), files, folder)


def states(folder: Path, settings: Settings, root: Path, behind: Sequence[State]) -> list[State]:
    """Of both files in `folder` whether they are what `build` would make of fresh artefacts.

    behind : of the artefacts.
    """
    return [_state(name, _now(name, folder, settings, root), folder, behind) for name in MADE]


def _state(name: str, now: Assembly, folder: Path, behind: Sequence[State]) -> State:
    file = MADE[name]
    if not (folder / file).is_file():
        return State(file, "missing", "")
    try:
        making, files = read_record(name, folder)
        before = Assembly(**making)
    except (OSError, ValueError, TypeError, KeyError):
        return State(file, "stale", UNRECORDED)
    reasons = changed_surroundings(before, now)
    if before.code != now.code:
        reasons.append("the code that puts it together was edited")
    reasons += altered(before.sources, now.sources)
    reasons += altered(files, {file: sha256((folder / file).read_bytes())})
    read = {Path(source).stem for source in now.sources}
    old, untold = (
        [it.artefact for it in behind if it.word == word and it.artefact in read]
        for word in ("stale", "unknown")
    )
    if old:
        reasons.append(f"made of what is stale: {', '.join(old)}")
    if reasons:
        return State(file, "stale", "; ".join(reasons))
    if untold:
        return State(file, "unknown", f"made of what cannot be told: {', '.join(untold)}")
    return State(file, "fresh", "")


def _now(name: str, folder: Path, settings: Settings, root: Path) -> Assembly:
    paths = [folder / f"{it}.{end}" for it in catalogue.ORDER for end in READ[name]]
    sources = {it.name: sha256(it.read_bytes()) for it in paths if it.is_file()}
    sources[PUBLISHED.name] = sha256(PUBLISHED.read_bytes())
    if name == "index":
        sources |= _beside(folder, root)
    return Assembly(
        settings=digest(settings),
        libraries=libraries(),
        code=code_digest(*CODE[name]),
        sources=sources,
    )


def _beside(folder: Path, root: Path) -> dict[str, str]:
    """What the page reads besides artefacts, and what it links."""
    linked = [f"{it}.{end}" for it in catalogue.ORDER for end in ("tex", "pdf")]
    notebooks = known(root / "notebooks")
    linked += [f"notebooks/{it}.html" for it in notebooks]
    read = [*TEMPLATES.iterdir(), *root.glob("regl_core/paper/*.svg")]
    return {
        **{it: "there" for it in linked if (folder / it).is_file()},
        **{f"text of {it}": _text(root / f"notebooks/{it}.ipynb") for it in notebooks},
        **{it.name: sha256(it.read_bytes()) for it in read if it.is_file()},
    }


def _text(notebook: Path) -> str:
    """Digest of the first cell, in which its heading stands."""
    cells = nbformat.read(notebook, as_version=4).cells
    return sha256(cells[0].source.encode()) if cells else ""
