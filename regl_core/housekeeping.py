"""What is fresh and what can go: `make status` and `make clean-store`."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from . import freshness, gallery
from .errors import ReglError
from .notebooks import known
from .params import ROOT, load, profiles
from .planning import targets_of
from .runner import closure
from .store import Store


def status(profile: str, changes: Mapping[str, Any], root: Path = ROOT) -> str:
    """A line for each artefact: fresh, stale and why, or missing.

    root : where notebooks/ and figures/ lie. Raises ReglError as `planning.targets_of`.
    """
    settings, folder, notebooks = (
        load(profile, changes),
        root / "figures" / profile,
        root / "notebooks",
    )
    paper = gallery.artefacts(known(notebooks))
    own = [it for it in known(notebooks) if it not in paper and any(folder.glob(f"{it}.*"))]
    asked = targets_of([*paper, *own], profile, changes, notebooks)
    now = freshness.makings([*paper, *own], asked, settings, notebooks)
    found = freshness.states(now, folder)
    width = max((len(state.artefact) for state in found), default=0)
    return "\n".join(f"{it.artefact:{width}}  {it.word:7}  {it.why}".rstrip() for it in found)


def clean(
    profile: str,
    changes: Mapping[str, Any],
    store: Store,
    ask: Callable[[str], str] = input,
    root: Path = ROOT,
) -> None:
    """Show what `store` holds, what no notebook asks for first, and delete what the user says.

    Notebooks are asked at every profile as it stands, and at `profile` with `changes`. ask :
    gets the question, returns the answer; what is neither "unused" nor "all" deletes nothing.
    """
    used = _used(profile, changes, root)
    unused, wanted = [], []
    for folder in sorted(store.folders()):
        (wanted if folder.name in used else unused).append(folder)
    print(_shown("no notebook asks for", unused), _shown("notebooks ask for", wanted), sep="\n\n")
    question = f"\ndelete the {len(unused)} unused ones, all, or nothing? [unused/all/nothing] "
    try:
        answer = ask(question).strip().lower()
    except EOFError:
        answer = ""
    chosen = {"unused": unused, "all": [*unused, *wanted]}.get(answer, [])
    gone = [folder for folder in chosen if store.remove(folder)]
    if chosen:
        store.sweep()
    left = f", {len(chosen) - len(gone)} are being computed and stay" if gone != chosen else ""
    print(f"{len(gone)} deleted{left}")


def _used(profile: str, changes: Mapping[str, Any], root: Path) -> set[str]:
    """Keys of all that the notebooks of `root` ask for and of what that needs."""
    used: set[str] = set()
    for name in profiles():
        try:
            asked = targets_of(
                known(root / "notebooks"),
                name,
                changes if name == profile else {},
                root / "notebooks",
            )
        except ReglError as error:
            if name == profile:
                raise
            reason = str(error).partition("\n")[0]
            print(f"profile {name} cannot be asked, so what it made counts as unused: {reason}")
            continue
        used |= closure(stage for targets in asked.values() for stage in targets).keys()
    return used


def _shown(what: str, folders: Sequence[Path]) -> str:
    """How many there are of each kind, how large, and when the last of them was made."""
    rows: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for folder in folders:
        rows[folder.parts[-3]].append((_size(folder.rglob("*")), folder.stat().st_mtime))
    title = f"{what}: {len(folders)} entries"
    if not folders:
        return title
    frame = pd.DataFrame(
        {
            "kind": kind,
            "entries": len(found),
            "MB": sum(size for size, _ in found) / 1e6,
            "last": pd.Timestamp(max(time for _, time in found), unit="s").strftime("%Y-%m-%d"),
        }
        for kind, found in rows.items()
    )
    total = f"{frame['MB'].sum():.1f} MB"
    table = frame.to_string(index=False, float_format="{:.1f}".format)
    return f"{title}, {total}\n{table}"


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())
