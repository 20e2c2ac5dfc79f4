"""Where an artefact comes from: the commit, the settings and the libraries behind it."""

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ..engine.digest import library_versions
from ..errors import ReglError
from ..params import ROOT, Settings
from ..runs import handed

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

    Raises ReglError in a notebook that `make` started before the settings were edited.
    """
    now, known = digest(settings), handed()
    if known and known.settings != now:
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
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            env=surroundings,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
