"""The command line: `python -m regl_core run table2 table3 --profile desk`."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import ReglError
from ..params import ROOT, load
from ..settings import parse
from ..system import explained


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; the exit status.

    0, 2 after an error, 130 when interrupted (Ctrl-C), 143 when terminated (SIGTERM).
    """
    options = _parser().parse_args(arguments)
    try:
        with _terminable(), explained(ROOT):
            options.act(options, _changes(options))
    except ReglError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as end:
        terminated = isinstance(end, _Terminated)
        what = "terminated" if terminated else "interrupted"
        print(f"{what}; what was computed is kept, run it again to go on", file=sys.stderr)
        return 128 + (signal.SIGTERM if terminated else signal.SIGINT)
    return 0


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: all that an interrupt ends must end."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Within the block SIGTERM ends the program as Ctrl-C does, its processes first."""

    def end(*_: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(options: argparse.Namespace, changes: dict[str, Any]) -> None:
    from .making import make

    make(options.names, options.profile, changes)


def _report(options: argparse.Namespace, changes: dict[str, Any]) -> None:
    from .making import report

    report(options.profile, changes)


def _plan(options: argparse.Namespace, changes: dict[str, Any]) -> None:
    from .notebooks import find, known

    settings = load(options.profile, changes)
    names = options.names or [name for name in known() if name.startswith("table")]
    find(names)

    from ..engine import Store
    from ..plan import DryRun, told  # takes seconds, for which no error should wait
    from ..runs import STORE
    from .grids import grids

    store = Store(STORE)
    built = DryRun(store.root / "packed")
    asked = grids(names, options.profile, changes, pipeline=built)
    stages = {name: grid.stages for name, grid in asked.items()}
    print(told(stages, built, settings, store, options.calibrate))


def _status(options: argparse.Namespace, changes: dict[str, Any]) -> None:
    load(options.profile, changes)

    from .status import status  # takes seconds, for which no error should wait

    print(status(options.profile, changes))


def _clean(options: argparse.Namespace, changes: dict[str, Any]) -> None:
    load(options.profile, changes)

    from ..engine import Store
    from ..runs import STORE
    from .cleaning import clean  # takes seconds, for which no error should wait

    clean(options.profile, changes, Store(STORE))


def _data(options: argparse.Namespace, changes: dict[str, Any]) -> None:
    settings = load(options.profile, changes)

    from ..datasets import check  # takes seconds, for which no error should wait

    check(settings)


def _models(options: argparse.Namespace, changes: dict[str, Any]) -> None:
    settings = load(options.profile, changes)

    from ..hub import fetch  # takes seconds, for which no error should wait

    fetch(settings)


def _check(options: argparse.Namespace, changes: dict[str, Any]) -> None:
    settings = load(options.profile, changes)

    from ..plan import check  # takes seconds, for which no error should wait

    check(settings)
    for key, value in _leaves(settings.model_dump()):
        print(f"{key} = {value}")


def _leaves(tree: dict[str, Any], group: str = "") -> list[tuple[str, Any]]:
    lines = []
    for key, value in tree.items():
        nested = isinstance(value, dict) and value
        lines += _leaves(value, f"{group}{key}.") if nested else [(f"{group}{key}", value)]
    return lines


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for item in options.set:
        key, equals, text = item.partition("=")
        if not equals:
            raise ReglError(f"--set {item}: expected key=value, as training.rounds=3")
        if key in changes:
            raise ReglError(f"--set {item}: {key} is set twice, expected once")
        changes[key] = parse(text, f"--set {item}")
    seeds = [parse(seed, "--seeds") for seed in options.seeds]
    for key, chosen in (("datasets", options.datasets), ("seeds", seeds)):
        if chosen and key in changes:
            raise ReglError(f"--{key} and --set {key}=…: {key} is set twice, expected once")
        if chosen:
            changes[key] = chosen
    return changes


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--profile", default="desk", help="params/<profile>.yaml (default: desk)")
    common.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="single settings to alter, values as in YAML: training.rounds=3 seeds=[0,1]",
    )
    common.add_argument(
        "--datasets",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="these data sets alone; folder:/path is an image folder (default: the profile's)",
    )
    common.add_argument(
        "--seeds",
        nargs="+",
        action="extend",
        default=[],
        metavar="SEED",
        help="these random seeds (default: the profile's)",
    )
    parser = argparse.ArgumentParser(prog="python -m regl_core", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, act, count, text in (
        ("run", _run, "+", "run notebooks, which make the tables and figures"),
        ("report", _report, None, "make every table and figure, and one page that shows them all"),
        ("plan", _plan, "*", "say what running them would compute, and how long it would take"),
        ("status", _status, None, "say of every table and figure: fresh, stale (and why), missing"),
        ("clean-store", _clean, None, "show what stored results could go, and delete as told"),
        ("data", _data, None, "say which data sets are there and which are missing; decode them"),
        ("models", _models, None, "say which models are there, and download the others"),
        ("check", _check, None, "validate the settings and print them"),
    ):
        command = commands.add_parser(name, parents=[common], help=text, description=text)
        command.set_defaults(act=act)
        if count:
            every = " (default: all tables)" if count == "*" else ""
            command.add_argument("names", nargs=count, help=f"notebooks, as table2{every}")
        if name == "plan":
            command.add_argument(
                "--calibrate", action="store_true", help="measure the speed of this machine anew"
            )
    return parser
