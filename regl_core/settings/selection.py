"""Which of a profile's data sets are used, before anything is validated."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ReglError
from .frozen import in_one, nearest, shown

FOLDER = "folder"


def selected(tree: Mapping[Any, Any], names: Sequence[Any]) -> dict[Any, Any]:
    """The settings `tree` with those of its data sets alone that are in `names`, in its own order.

    ``folder:/path`` adds the image folder at that path, with the settings of the group
    ``folder``. The ablations keep those of their data sets that are selected, or else take them
    all.

    Raises
    ------
    ReglError
        No name is given, one twice, or one that is neither a data set nor an image folder.
    """
    groups, own = tree.get("datasets"), tree.get(FOLDER)
    groups = groups if isinstance(groups, Mapping) else {}
    added, problems = {}, [] if names else ["given no name, expected at least one"]
    for place, name in enumerate(names):
        path = name.removeprefix(f"{FOLDER}:") if isinstance(name, str) else ""
        if name in names[:place]:
            problems.append(f"{shown(name)} stands there twice")
        elif isinstance(name, str) and name in groups:
            continue
        elif path in ("", name):
            problems.append(
                f"data set {shown(name)} is unknown{nearest(name, groups)}, expected one of "
                f"{', '.join(map(str, groups))}, or folder:/path of an image folder"
            )
        elif not isinstance(own, Mapping):
            problems.append(f"{name}: the profile has no group {FOLDER} with its settings")
        else:
            added[name] = {**own, "root": path}
    if problems:
        raise ReglError(in_one(f"datasets: {text}" for text in problems))
    kept = {name: group for name, group in groups.items() if name in names} | added
    return {**tree, "datasets": kept, **_ablations(tree.get("ablations"), list(kept))}


def _ablations(group: Any, names: list[str]) -> dict[str, Any]:
    """The group of the ablations, on data sets out of `names`."""
    own = group.get("datasets") if isinstance(group, Mapping) else None
    if not isinstance(own, list | tuple):
        return {}
    both = [name for name in own if name in names]
    return {"ablations": {**group, "datasets": both or names}}
