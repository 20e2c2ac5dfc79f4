"""The rooms of regl_core: files, lines, the names of each door, and which rooms it imports.

`python -m tools.rooms`. Tables are read from the code, and nothing of it is run.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from regl_core.params import ROOT

PACKAGE = ROOT / "regl_core"


def modules(room: str) -> list[Path]:
    """The files of a room; those of the root where `room` is empty."""
    own = PACKAGE / room
    return sorted(own.glob("*.py") if not room else own.rglob("*.py"))


def door(room: str) -> list[str]:
    """The names that others may use: `__all__` of the room's `__init__`, none if it has none."""
    names: list[str] = []
    for node in ast.parse((PACKAGE / room / "__init__.py").read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name("__all__")]) | ast.AugAssign(ast.Name("__all__")):
                names += ast.literal_eval(node.value)
    return names


def imported(room: str, rooms: set[str]) -> set[str]:
    """The other rooms that a room imports from, inside functions too; "root" is the paper's own."""
    found = {_room(name, rooms) for path in modules(room) for name in _imports(path)}
    return found - {room or "root"}


def _imports(path: Path) -> Iterator[str]:
    """Dotted names within regl_core that a file imports."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) + 1 - node.level], *(node.module or "").split(".")]
            for alias in node.names:
                yield ".".join([it for it in base if it] + [alias.name])


def _room(name: str, rooms: set[str]) -> str:
    first = name.split(".")[1]
    return first if first in rooms else "root"


def main() -> None:
    """Prints a row for each room, the root first."""
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    print("| room | files | lines | door | imports |", "|---|---:|---:|---|---|", sep="\n")
    for room in ("", *sorted(rooms)):
        files = modules(room)
        lines = sum(len(path.read_text().splitlines()) for path in files)
        names, others = (", ".join(it) or "–" for it in (door(room), sorted(imported(room, rooms))))
        print(f"| {room or 'root'} | {len(files)} | {lines:,} | {names} | {others} |")


if __name__ == "__main__":
    main()
