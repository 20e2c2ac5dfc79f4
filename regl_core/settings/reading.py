"""Reading a settings file, and altering single settings of it, before anything is validated."""

import re
from collections.abc import Mapping
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
        if any(isinstance(it, yaml.AliasEvent) for it in yaml.parse(text, _Loader)):
            raise ValueError("an alias (*name), which is not read: nine lines can hold a billion")
        return yaml.load(text, _Loader)
    except Exception as error:  # of many types: YAML's own, and whatever a wrong tag makes it call
        raise ReglError(f"{source}: expected YAML: {error}") from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # the first is ten times as fast
    """YAML's safe loader, but a key that stands twice in one mapping is an error.

    And 1e-4 is the number that YAML 1.2 takes it for, where 1.1 wants 1.0e-4.
    """

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


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), [*"-+0123456789"]
)


def alter(tree: Mapping[Any, Any], changes: Mapping[Any, Any], within: str = "") -> dict[Any, Any]:
    """`tree` with `changes` made to it; `tree` itself stays as it is.

    A dotted key alters one setting of a group that must be there; a mapping alters those it
    names and leaves the others, and may add a group, as a data set of one's own. Names of groups
    may have dots themselves. `within`: the groups around `tree`, for an error.

    Raises
    ------
    ReglError
        When a dotted key leads through a group that is not there.
    """
    if not isinstance(changes, Mapping):
        raise ReglError(f"changes: given {shown(changes)}, expected keys and their new values")
    altered = dict(tree)
    for key, value in changes.items():
        if isinstance(key, str) and "." in key and key not in altered:
            groups = [name for name, its in altered.items() if isinstance(its, Mapping)]
            found = [it for it in groups if isinstance(it, str) and key.startswith(f"{it}.")]
            if not found:
                unknown, known = within + key.split(".")[0], [f"{within}{it}" for it in altered]
                raise ReglError(
                    f"changes: {within}{key}: there is no group {unknown}{nearest(unknown, known)}"
                    f", expected one of {', '.join(known)}"
                )
            whole, key = key, max(found, key=len)
            value = {whole[len(key) + 1 :]: value}
        both = isinstance(value, Mapping) and isinstance(altered.get(key), Mapping)
        altered[key] = alter(altered[key], value, f"{within}{key}.") if both else value
    return altered
