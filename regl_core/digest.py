"""Digest of the code that can change a result; comments, docstrings and layout do not count.

Nor does what is asked before computing, such as how much work it is (`work.beforehand`).

Code is read, never run. Of every module only those statements count that the stage's class can
reach, directly or by what it imports: a change to one stage leaves the others as they are, and a
new setting, data set or partition leaves all that do not use it.
"""

import ast
import functools
import hashlib
import importlib.util
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from .errors import ReglError

PACKAGE = __name__.partition(".")[0]
BEFOREHAND = "beforehand"  # the mark of what is asked before computing (`work.beforehand`)
WHOLE = "*"  # in the place of a name in a module: all that stands there
LIBRARIES = (
    "torch", "torchvision", "diffusers", "transformers", "peft", "numpy", "scikit-learn",
)  # fmt: skip


@functools.cache
def library_versions() -> dict[str, str]:
    """Versions of the installed libraries whose code can change a result."""
    return {name: version(name) for name in LIBRARIES}


@functools.cache
def code_digest(*names: tuple[str, str]) -> str:
    """SHA-256 (hex) of the code behind the classes `names`, (module, class) each.

    It is the code at the first call in this process: what is loaded then is what runs, even
    where files change later. `check_unchanged` tells.

    Raises
    ------
    ReglError
        When a module has no source file, as classes defined in a notebook have none.
    """
    packages = {PACKAGE, *(module.partition(".")[0] for module, _ in names)}
    wanted: dict[str, set[str]] = defaultdict(set)
    waiting = list(names)
    while waiting:
        module, name = waiting.pop()
        if name not in wanted[module]:
            wanted[module].add(name)
            waiting += _imports(module, _reached(_module(module), name), packages)
    digests = {module: _dump(_reached(_module(module), *roots)) for module, roots in wanted.items()}
    return hashlib.sha256(repr([names[0], *sorted(digests.items())]).encode()).hexdigest()


def check_unchanged(names: Iterable[tuple[tuple[str, str], ...]]) -> None:
    """Make sure that the code behind each of `names` is still what `code_digest` saw.

    Raises
    ------
    ReglError
        When a file was edited since: the process would mix old code and new.
    """
    for classes in names:
        if code_digest(*classes) != code_digest.__wrapped__(*classes):
            raise ReglError(
                f"the code behind {'.'.join(classes[0])} was edited after this program had loaded "
                "it; start the program again (in a notebook: restart the kernel)"
            )


def _source(module: str) -> Path | None:
    """The file of `module`, found by its path alone so that nothing is imported."""
    top, *rest = module.split(".")
    spec = None if top == "__main__" else importlib.util.find_spec(top)
    if spec is None or not (rest or spec.origin):
        return None
    if not rest:
        return Path(spec.origin)
    for folder in spec.submodule_search_locations or ():
        base = Path(folder, *rest)
        for path in (base / "__init__.py", base.with_name(base.name + ".py")):
            if path.is_file():
                return path
    return None


def _module(name: str) -> tuple[ast.stmt, ...]:
    path = _source(name)
    if path is None:
        raise ReglError(
            f"the code of {name} is in no file, so that its results cannot be kept; "
            f"define it in a module of {PACKAGE} or in a module beside it"
        )
    stat = path.stat()
    return _parsed(path, stat.st_mtime_ns, stat.st_size)


@functools.cache
def _parsed(path: Path, mtime_ns: int, size: int) -> tuple[ast.stmt, ...]:
    """Top-level statements of a file, without docstrings, one name in each import."""
    return tuple(_Bare().visit(ast.parse(path.read_bytes())).body)


class _Bare(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        # A bare text does nothing, wherever it stands.
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef | None:
        marks = {mark.id for mark in node.decorator_list if isinstance(mark, ast.Name)}
        return None if BEFOREHAND in marks else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        # What only a type checker reads never runs.
        unread = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return node.orelse if unread else node

    def visit_Import(self, node: ast.Import) -> list[ast.Import]:
        return [ast.Import([alias]) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> list[ast.ImportFrom]:
        return [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]


@functools.cache
def _dump(statements: tuple[ast.stmt, ...]) -> str:
    return hashlib.sha256("\n".join(map(ast.dump, statements)).encode()).hexdigest()


@functools.cache
def _reached(statements: tuple[ast.stmt, ...], *roots: str) -> tuple[ast.stmt, ...]:
    """The statements that can matter to the names `roots`, in order.

    A statement that binds no name of its own (a loop, a call, an ``if``) always can, and one whose
    name stands in a text (a quoted annotation, ``getattr``). Where a root is not found at the top
    level, all of them can.
    """
    binding = defaultdict(list)
    for statement in statements:
        for name in _bound(statement) or ("",):
            binding[name].append(statement)
    if not binding.keys() >= set(roots):
        return statements
    reached: set[ast.stmt] = set()
    waiting = [statement for name in ("", *roots) for statement in binding[name]]
    while waiting:
        statement = waiting.pop()
        if statement not in reached:
            reached.add(statement)
            for node in ast.walk(statement):
                for name in _named(node):
                    waiting += binding.get(name, ())
    return tuple(statement for statement in statements if statement in reached)


def _named(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            return [name]
        case ast.Constant(value=str(text)):
            return re.findall(r"\w+", text)
    return []


def _bound(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {statement.name}
        case ast.Import() | ast.ImportFrom():
            alias = statement.names[0]
            return {alias.asname or alias.name.partition(".")[0]} - {"*"}
        case ast.Assign() | ast.AnnAssign():
            nodes = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
            return {node.id for node in nodes if isinstance(node.ctx, ast.Store)}
    return set()


def _imports(
    module: str, statements: tuple[ast.stmt, ...], packages: Collection[str]
) -> Iterator[tuple[str, str]]:
    """What `statements` of `module` import from `packages`, inside functions too: module, name."""
    for node in _import_statements(statements):
        name = node.names[0].name
        found = [(name, WHOLE)]
        if isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            # `from package import name` means a module of that name where there is one.
            found = [(f"{base}.{name}", WHOLE), (base, name)]
        found = [(it, part) for it, part in found if it.partition(".")[0] in packages]
        yield from [(it, part) for it, part in found if _source(it)][:1]


@functools.cache
def _import_statements(statements: tuple[ast.stmt, ...]) -> list[ast.Import | ast.ImportFrom]:
    nodes = (node for statement in statements for node in ast.walk(statement))
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def _base(module: str, node: ast.ImportFrom) -> str:
    """The absolute name of what `node`, standing in `module`, imports from."""
    if not node.level:
        return node.module or ""
    source = _source(module)
    above = node.level - (source is not None and source.name == "__init__.py")
    return ".".join([*module.split(".")[: -above or None], *filter(None, [node.module])])


def imported(source: str) -> tuple[tuple[str, str], ...]:
    """What the Python text `source`, a notebook's say, imports from this package: module, name."""
    statements = tuple(_Bare().visit(ast.parse(source)).body)
    return tuple(dict.fromkeys(_imports("__main__", statements, {PACKAGE})))
