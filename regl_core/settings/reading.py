"""Reading a settings file, and altering single settings of it, before anything is validated."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from ..errors import ReglError
from .frozen import nearest, shown


def read(file: Path) -> dict[Any, Any]:
    """The mapping a YAML file holds.

    Raises
    ------
    ReglError
        When the file cannot be read, is not YAML, has a key twice or holds no mapping.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReglError(f"{file}: cannot be read: {error}") from None
    tree = parse(text, str(file))
    if not isinstance(tree, dict):
        raise ReglError(f"{file}: given {shown(tree)}, expected lines like 'key: value'")
    return tree


def parse(text: str, source: str) -> Any:
    """The value of a YAML text; `source` says in an error where the text stands."""
    try:
        return yaml.load(text, Loader=_Loader)
    except Exception as error:  # of many types: YAML's own, and whatever a wrong tag makes it call
        raise ReglError(f"{source}: expected YAML: {error}") from None


MOST = 100_000  # values in a text; the shipped settings have some hundreds


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # the first is ten times as fast
    """YAML's safe loader, but a key that stands twice in one mapping is an error.

    So are more than `MOST` values, every alias written out: nine lines can hold a billion.
    """

    def construct_document(self, node: yaml.Node) -> Any:
        if _values(node, {}) > MOST:
            raise yaml.constructor.ConstructorError(
                None, None, f"with every alias written out it has more than {MOST} values", None
            )
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (pair[0] for pair in node.value if isinstance(node, yaml.MappingNode)):
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {shown(key.value)} stands twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _values(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """How many values `node` holds, every alias written out; those of nodes passed are `known`."""
    if node not in known:
        known[node] = MOST + 1  # within itself it has no end
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        within = chain.from_iterable(parts) if isinstance(node, yaml.MappingNode) else parts
        known[node] = 1 + sum(_values(part, known) for part in within)
    return known[node]


def alter(tree: Mapping[Any, Any], changes: Mapping[Any, Any]) -> dict[Any, Any]:
    """`tree` with `changes` made to it; `tree` itself stays as it is.

    A dotted key alters one setting of a group that must be there; a mapping alters those it
    names and leaves the others, and may add a group, as a data set of one's own. Names of groups
    may have dots themselves.

    Raises
    ------
    ReglError
        When a dotted key leads through a group that is not there.
    """
    if not isinstance(changes, Mapping):
        raise ReglError(f"changes: given {shown(changes)}, expected keys and their new values")
    altered = dict(tree)
    for key, value in changes.items():
        place, passed, last = altered, "", key
        while isinstance(last, str) and "." in last and last not in place:
            group = _first_group(last, place)
            if group is None:
                known, unknown = [f"{passed}{it}" for it in place], passed + last.split(".")[0]
                raise ReglError(
                    f"changes: {key}: there is no group {unknown}{nearest(unknown, known)}, "
                    f"expected one of {', '.join(known)}"
                )
            place[group] = dict(place[group])
            place, passed, last = place[group], f"{passed}{group}.", last[len(group) + 1 :]
        both = isinstance(value, Mapping) and isinstance(place.get(last), Mapping)
        place[last] = alter(place[last], value) if both else value
    return altered


def _first_group(key: str, tree: Mapping[Any, Any]) -> str | None:
    """The group of `tree` with which a dotted key begins; its name may have dots itself."""
    groups = [name for name, value in tree.items() if isinstance(value, Mapping)]
    found = [name for name in groups if isinstance(name, str) and key.startswith(f"{name}.")]
    return max(found, key=len, default=None)
