"""What notebooks write into figures/<profile>, and how each file says what made it.

That is the commit, the settings and the libraries behind it. Files appear whole or not at all,
and several of one artefact together. The same content and provenance give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ..engine import library_versions
from ..errors import ReglError
from ..params import ROOT, Settings
from ..runs import handed
from ..system import put

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

CHANGED = "+changes"  # after a commit: the files were not those of the commit
COLUMNS = ("commit", "settings", "libraries")  # of a CSV, after its own


@dataclass(frozen=True)
class Provenance:
    """What made an artefact.

    commit : short hash, with CHANGED where files differed from it, "unknown" without git.
    settings : digest of all settings, single changes to the profile included.
    libraries : names and versions, Python's first.
    """

    artefact: str
    commit: str
    settings: str
    libraries: str

    @property
    def line(self) -> str:
        """All of it in one line, for a comment."""
        return (
            f"{self.artefact}: commit {self.commit}; settings {self.settings}; "
            f"libraries {self.libraries}"
        )


def trace(artefact: str, settings: Settings) -> Provenance:
    """The provenance of what is written now, from `settings`.

    Raises ReglError in a notebook without a grid that `make` started before the settings were
    edited; one with a grid has been told so by `run_all`.
    """
    now, known = digest(settings), handed()
    if known and known.results is None and known.settings != now:
        raise ReglError(
            f"{artefact}: settings were edited while the notebook ran ({known.settings}, now "
            f"{now}): run it again"
        )
    return Provenance(artefact, commit(), now, libraries())


def digest(settings: Settings) -> str:
    """First 12 hex digits of the SHA-256 of `settings`, in whatever order they were written."""
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def libraries() -> str:
    """The libraries whose code can change a number or a picture, with their versions."""
    found = {
        **library_versions(),
        "python": platform.python_version(),
        "matplotlib": version("matplotlib"),
    }
    return ", ".join(f"{name} {number}" for name, number in found.items())


def commit(root: Path = ROOT) -> str:
    """What is checked out in `root`, with CHANGED where files differ, ignored ones left out.

    `root`/figures does not count: it holds what is made, not what makes it. "unknown" without git,
    and for a copy without history, which may lie in the checkout of something else.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout

    try:
        top, head = git("rev-parse", "--show-toplevel", "HEAD").split("\n")[:2]
        changed = git("status", "--porcelain", "--", ".", ":!figures")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    known = Path(top).resolve() == root.resolve()
    return head[:10] + CHANGED * bool(changed) if known else "unknown"


# Writing


def write(
    name: str, contents: Mapping[str, str | bytes], settings: Settings, folder: Path | None = None
) -> None:
    """Write the files of the artefact `name`, by their ending, into `folder` or where it belongs.

    folder : default figures/<profile>.
    """
    files = {
        f"{name}.{ending}": content.encode() if isinstance(content, str) else content
        for ending, content in contents.items()
    }
    put(files, folder or ROOT / "figures" / settings.profile)


def write_csv(
    frame: pd.DataFrame,
    name: str,
    settings: Settings,
    folder: Path | None = None,
    float_format: str | None = "%.2f",
) -> None:
    """Write `frame` and its provenance to `name`.csv.

    float_format : of every column of floats; None for as many digits as tell them apart.
    """
    write(name, {"csv": csv_text(frame, trace(name, settings), float_format)}, settings, folder)


def csv_text(
    frame: pd.DataFrame, made: Provenance, float_format: str | None = "%.2f", none: str = ""
) -> str:
    """`frame` as CSV, after its own columns those of COLUMNS; `none` in the place of NaN."""
    whole = frame.assign(**{column: getattr(made, column) for column in COLUMNS})
    return whole.to_csv(index=False, float_format=float_format, na_rep=none, lineterminator="\n")


def save_figure(figure: Figure, name: str, settings: Settings, folder: Path | None = None) -> None:
    """Write `figure` to `name`.png and `name`.pdf, in the metadata of each its provenance.

    PNG: a text chunk for each field, as Artefact and Commit. PDF: all in one line, its subject.
    """
    made = trace(name, settings)
    chunks = {key.capitalize(): value for key, value in vars(made).items()}
    undated = dict.fromkeys(("Creator", "Producer", "CreationDate"))
    files = {}
    for ending, metadata in (
        ("png", {**chunks, "Software": None}),
        ("pdf", {"Subject": made.line, **undated}),
    ):
        file = io.BytesIO()
        figure.savefig(file, format=ending, dpi=150, metadata=metadata)
        files[ending] = file.getvalue()
    write(name, files, settings, folder)
