"""What notebooks write into figures/<profile>, and how each file says what made it.

That is the commit, the settings and the libraries behind it. Files appear whole or not at all,
and several of one artefact together. The same content and provenance give the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
DPI = 150


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

    `root`/figures does not count: it holds what is made, not what makes it.
    """
    top, head = _git(root, "rev-parse", "--show-toplevel"), _git(root, "rev-parse", "HEAD")
    # A copy without history may lie in the checkout of something else.
    if not top or not head or Path(top).resolve() != root.resolve():
        return "unknown"
    changed = _git(root, "status", "--porcelain", "--", ".", ":!figures")
    return head[:10] + (CHANGED if changed != "" else "")


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints, None if it fails or is not there."""
    # Those of a hook that runs this would name another repository.
    surroundings = {key: it for key, it in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command, env=surroundings, capture_output=True, encoding="utf-8", check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


# Writing


def write(
    name: str,
    contents: Callable[[Provenance], Mapping[str, str | bytes]],
    settings: Settings,
    folder: Path | None = None,
) -> None:
    """Write the files of the artefact `name`. contents : by ending, given what is to be said.

    folder : default figures/<profile>.
    """
    files = {
        f"{name}.{ending}": content.encode() if isinstance(content, str) else content
        for ending, content in contents(trace(name, settings)).items()
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
    write(name, lambda made: {"csv": csv_text(frame, made, float_format)}, settings, folder)


def csv_text(frame: pd.DataFrame, made: Provenance, float_format: str | None = "%.2f") -> str:
    """`frame` as CSV, after its own columns those of COLUMNS."""
    whole = frame.assign(**{column: getattr(made, column) for column in COLUMNS})
    return whole.to_csv(index=False, float_format=float_format, lineterminator="\n")


def save_figure(figure: Figure, name: str, settings: Settings, folder: Path | None = None) -> None:
    """Write `figure` to `name`.png and `name`.pdf, in the metadata of each its provenance.

    PNG: a text chunk for each field, as Artefact and Commit. PDF: the artefact is its title, all
    in one line its subject, the fields its keywords.
    """

    def drawn(made: Provenance) -> dict[str, bytes]:
        metadata = {
            "png": {
                **{key.capitalize(): value for key, value in vars(made).items()},
                "Software": None,
            },
            "pdf": {
                "Title": name,
                "Subject": made.line,
                "Keywords": "; ".join(f"{key}={value}" for key, value in vars(made).items()),
                **dict.fromkeys(("Creator", "Producer", "CreationDate")),
            },
        }
        files = {ending: io.BytesIO() for ending in metadata}
        for ending, file in files.items():
            figure.savefig(file, format=ending, dpi=DPI, metadata=metadata[ending])
        return {ending: file.getvalue() for ending, file in files.items()}

    write(name, drawn, settings, folder)


# Reading


Made = tuple[str, ...]  # commit, settings, libraries; empty where a file does not say


def made_by(file: Path) -> Made:
    """What a CSV or PNG says that it was made with; empty where it does not."""
    if file.suffix == ".png":
        from PIL import Image

        with Image.open(file) as image:
            found = [image.info.get(column.capitalize(), "") for column in COLUMNS]
    else:
        with file.open(encoding="utf-8", newline="") as lines:
            row = next(csv.DictReader(lines), {})
            found = [row.get(column, "") for column in COLUMNS]
    return tuple(found) if all(found) else ()


def others(files: Sequence[Path]) -> tuple[Made, dict[str, str]]:
    """What most of the CSV and PNG `files` were made with, and how the others differ, by name."""
    made = {file.name: made_by(file) for file in files}
    told = Counter(filter(None, made.values())).most_common(1)
    usual = told[0][0] if told else ()
    odd = {name: it for name, it in made.items() if it != usual or not it}
    return usual, {name: _difference(it, usual) for name, it in odd.items()}


def _difference(made: Made, usual: Made) -> str:
    if not made:
        return "does not say what made it"
    pairs = zip(COLUMNS, made, usual, strict=True)
    return ", ".join(f"{column} {own}" for column, own, most in pairs if own != most)
