"""Digest of the code that can change a result; comments, docstrings and layout do not count.

Nor do the texts of raised errors, and what gives a result nothing: how much work it is, say, or how
often progress is saved (`not_in_key`).

Code is read, never run. Of every module only those statements count that the stage's class can
reach, directly or by what it imports: a change to one stage leaves the others as they are, and a
new setting, data set or partition leaves all that do not use it. Packages that hold a module count
too, with what they do when they are imported.
"""

import ast
import functools
import hashlib
import platform
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from importlib.metadata import version
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import TypeVar

from ..errors import ReglError

PACKAGE = __name__.partition(".")[0]
WHOLE = "*"  # in the place of a name in a module: all that stands there
NOTHING = ""  # and: what it does at any rate, in statements that bind no name
# Beside those that compute: tokenizers makes a prompt into numbers, pillow scales what captioner
# and image encoder see, and scipy has the distribution behind `leakage`. Not among them are
# safetensors, which stores the bits it is given, accelerate and huggingface-hub, which only bring
# weights to where they are used, and all that draws, prints or checks settings.
LIBRARIES = (
    "torch", "torchvision", "diffusers", "transformers", "tokenizers", "peft", "numpy",
    "scikit-learn", "scipy", "pillow",
)  # fmt: skip
Marked = TypeVar("Marked", bound=Callable)


def not_in_key(function: Marked) -> Marked:
    """Marks what gives nothing that a result is made of.

    What is asked before anything is computed: how much it is, whether it can be done. The words of
    an error. How often progress is saved. A digest of code
    leaves it out: a better estimate, or one more refusal, makes no result stale.
    """
    return function


@functools.cache
def library_versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries whose code can change a result.

    Of Python the feature release, as 3.11: those change numbers (3.12 the sum of floats), the
    releases that mend errors do not.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, **{name: version(name) for name in LIBRARIES}}


@functools.cache
def code_digest(*names: tuple[str, str], program: str = "") -> str:
    """SHA-256 (hex) of the code behind the classes or functions `names`, (module, name) each.

    program: Python text, a notebook's say; of it what it imports from this package counts too.

    It is the code at the first call in this process: what is loaded then is what runs, even
    where files change later. `check_unchanged` tells.

    Raises
    ------
    ReglError
        When a module has no source file, as classes defined in a notebook have none.
    """
    _source.cache_clear()  # files may have come or gone since the last call
    names = (*names, *_imports("__main__", _statements(program)))
    wanted: dict[str, set[str]] = defaultdict(set)
    waiting = list(names)
    while waiting:
        module, name = waiting.pop()
        if name not in wanted[module]:
            wanted[module].add(name)
            waiting += _imports(module, _reached(_module(module), name))
            # Importing it runs the packages that it lies in.
            parts = module.split(".")
            above = (".".join(parts[:count]) for count in range(1, len(parts)))
            waiting += [(package, NOTHING) for package in above if _source(package)]
    digests = {
        module: _hashed(_reached(_module(module), *roots)) for module, roots in wanted.items()
    }
    return hashlib.sha256(repr([names[:1], *sorted(digests.items())]).encode()).hexdigest()


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


@functools.cache
def _source(module: str) -> Path | None:
    """The file of `module`, found by its path alone so that nothing is imported."""
    top, *rest = module.split(".")
    spec = None if top == "__main__" else find_spec(top)
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
    return _statements(path.read_bytes())


def _statements(source: str | bytes) -> tuple[ast.stmt, ...]:
    """Top-level statements, without docstrings, one name in each import."""
    return tuple(_Bare().visit(ast.parse(source)).body)


class _Bare(ast.NodeTransformer):
    def visit_Module(self, node: ast.Module) -> ast.Module:
        # In the place of a marked function its name is still found, and nothing is behind it.
        stubs = (ast.parse(f"def {it.name}(): pass").body[0] for it in node.body if _marked(it))
        found = [next(stubs) if _marked(it) else it for it in node.body]
        return self.generic_visit(ast.Module(found, []))

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        # A bare text does nothing, wherever it stands.
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef | None:
        return None if _marked(node) else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        # The type of an error and when it is raised count, what it says does not. A name that
        # begins with a small letter may be a function that goes by its text.
        called = isinstance(node.exc, ast.Call) and ast.unparse(node.exc.func)
        if called and called.rpartition(".")[2][0].isupper():
            for part in (part for its in node.exc.args for part in ast.walk(its)):
                match part:
                    case ast.Constant(value=str()):
                        part.value = ""
                    case ast.JoinedStr():
                        part.values = []
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        # What only a type checker reads never runs.
        unread = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return node.orelse if unread else node

    def visit_Import(self, node: ast.Import) -> list[ast.Import]:
        return [ast.Import([alias]) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> list[ast.ImportFrom]:
        return [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]


def _marked(node: ast.stmt) -> bool:
    marks = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any(isinstance(mark, ast.Name) and mark.id == not_in_key.__name__ for mark in marks)


@functools.cache
def _hashed(statements: tuple[ast.stmt, ...]) -> str:
    return hashlib.sha256("\n".join(map(ast.dump, statements)).encode()).hexdigest()


@functools.cache
def _reached(statements: tuple[ast.stmt, ...], *roots: str) -> tuple[ast.stmt, ...]:
    """The statements that can matter to the names `roots`, in order.

    A statement that binds no name of its own (a loop, a call, an ``if``) always can, and one whose
    name stands in a text (a quoted annotation, ``getattr``). Where a root is not found at the top
    level, all of them can.
    """
    binding = defaultdict(list, {NOTHING: []})
    for statement in statements:
        for name in _bound(statement) or (NOTHING,):
            binding[name].append(statement)
    if not binding.keys() >= set(roots):
        return statements
    reached: set[ast.stmt] = set()
    waiting = [statement for name in (NOTHING, *roots) for statement in binding[name]]
    while waiting:
        statement = waiting.pop()
        if statement not in reached:
            reached.add(statement)
            for name in _mentioned(statement):
                waiting += binding.get(name, ())
    return tuple(statement for statement in statements if statement in reached)


@functools.cache
def _mentioned(statement: ast.stmt) -> frozenset[str]:
    found: list[str] = []
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                found.append(name)
            case ast.Constant(value=str(text)):
                found += re.findall(r"\w+", text)
    return frozenset(found)


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


@functools.cache
def _imports(module: str, statements: tuple[ast.stmt, ...]) -> tuple[tuple[str, str], ...]:
    """What `statements` of `module` import, inside functions too: module, name.

    Of this package and of the one that `module` lies in; others are libraries.
    """
    source, imports = _source(module), []
    inside = source is not None and source.name == "__init__.py"
    package = module if inside else module.rpartition(".")[0]
    for node in (node for statement in statements for node in ast.walk(statement)):
        match node:
            case ast.Import(names=[alias]):
                found = [(alias.name, WHOLE)]
            case ast.ImportFrom(names=[alias]):
                base = resolve_name("." * node.level + (node.module or ""), package)
                # `from package import name` means a module of that name where there is one.
                found = [(f"{base}.{alias.name}", WHOLE), (base, alias.name)]
            case _:
                continue
        own = (it for it in found if it[0].partition(".")[0] in (PACKAGE, module.partition(".")[0]))
        imports += [it for it in own if _source(it[0])][:1]
    return tuple(imports)
