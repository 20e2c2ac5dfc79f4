"""`make clean-store`: what the store holds that no notebook asks for, and deleting it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..datasets import find
from ..engine import Store, closure
from ..errors import ReglError
from ..hub import Sources
from ..params import ROOT, load, profiles
from ..plan import DryRun
from .grids import grids, targets
from .notebooks import known


@dataclass(frozen=True)
class Held:
    """Something in `store` that can be deleted.

    kind : of the entry, or "unfinished" for what one has saved. used : whether a notebook asks for
    it.
    """

    store: Store
    kind: str
    folder: Path
    used: bool


def clean(
    profile: str,
    changes: Mapping[str, Any],
    store: Store,
    ask: Callable[[str], str] = input,
    root: Path = ROOT,
) -> None:
    """Show what `store` holds, what no notebook asks for first, and delete what the user says.

    Notebooks are asked at every profile as it stands, and at `profile` with `changes`. Results,
    what unfinished ones have saved, and decoded images of data sets are shown. ask :
    gets the question, returns the answer; what is neither "unused" nor "all" deletes nothing.
    """
    decoded = Store(store.root / "packed")
    keys = _used(profile, changes, decoded.root, root)
    held = []
    for place in (store, decoded):
        found = [(it.parts[-3], it) for it in sorted(place.folders())]
        found += [("unfinished", it) for it in sorted(place.unfinished())]
        held += [Held(place, kind, it, place.key_of(it) in keys) for kind, it in found]
    unused, wanted = ([it for it in held if it.used is used] for used in (False, True))
    print(_shown("no notebook asks for", unused), _shown("notebooks ask for", wanted), sep="\n\n")
    question = f"\ndelete the {len(unused)} unused ones, all, or nothing? [unused/all/nothing] "
    try:
        answer = ask(question).strip().lower()
    except EOFError:
        answer = ""
    chosen = {"unused": unused, "all": held}.get(answer, [])
    gone = [it for it in chosen if it.store.remove(it.folder)]
    if chosen:
        store.sweep()
        decoded.sweep()
    left = f", {len(chosen) - len(gone)} are being computed and stay" if gone != chosen else ""
    print(f"{len(gone)} deleted{left}")


def _used(profile: str, changes: Mapping[str, Any], packed: Path, root: Path) -> set[str]:
    """Keys of all that the notebooks of `root` ask for and of what that needs.

    What is not at hand is printed: nothing can be known of results that were made with it.
    """
    keys: set[str] = set()
    for name in profiles():
        own = changes if name == profile else {}
        try:
            settings = load(name, own)
            loaders = [find(it, its, packed) for it, its in settings.datasets.items()]
            there = [loader for loader in loaders if not loader.problems()]
            keys |= {block.key for loader in there for block in loader.blocks()}
            absent = [loader.name for loader in loaders if loader not in there]
            absent += ["its models"] * bool(Sources(settings.foundation).problems())
            if absent:
                print(f"profile {name}: not at hand, {_UNUSED}: {', '.join(absent)}")
            if there:
                notebooks = root / "notebooks"
                asked = grids(known(notebooks), name, own, notebooks, DryRun(packed))
                keys |= closure(targets(asked)).keys()
        except ReglError as error:
            if name == profile:
                raise
            print(f"profile {name}: cannot be asked, {_UNUSED}: {str(error).splitlines()[0]}")
    return keys


_UNUSED = "so what was made with it counts as unused"


def _shown(what: str, held: Sequence[Held]) -> str:
    """How many there are of each kind, how large, and when the last of them was made."""
    rows = []
    for it in held:
        with suppress(FileNotFoundError):  # finished or deleted this very moment
            size = sum(path.stat().st_size for path in it.folder.rglob("*") if path.is_file())
            made = pd.Timestamp(it.folder.stat().st_mtime, unit="s")
            rows.append((it.kind, size / 1e6, f"{made:%Y-%m-%d}"))
    kinds = pd.DataFrame(rows, columns=["kind", "MB", "last"]).groupby("kind", sort=False)
    table = kinds.agg(entries=("MB", "size"), MB=("MB", "sum"), last=("last", "max")).reset_index()
    text = table.to_string(index=False, float_format="{:.1f}".format)
    title = f"{what}: {len(held)} entries"
    return f"{title}, {table['MB'].sum():.1f} MB\n{text}" if rows else title
