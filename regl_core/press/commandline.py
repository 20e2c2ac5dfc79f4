"""The command line: `python -m regl_core run table2 table3 --profile desk`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import ReglError
from ..params import ROOT, Settings, load
from ..settings import parse
from ..system import explained


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; the exit status.

    0, 2 after an error, 130 when interrupted (Ctrl-C), 143 when terminated (SIGTERM).
    """
    options = _parser().parse_args(arguments)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        with explained(ROOT):
            changes = _changes(options)
            _act(options, load(options.profile, changes), changes)
    except ReglError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as end:
        terminated = isinstance(end, _Terminated)
        what = "terminated" if terminated else "interrupted"
        print(f"{what}; what was computed is kept, run it again to go on", file=sys.stderr)
        return 128 + (signal.SIGTERM if terminated else signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: all that an interrupt ends must end."""


def _terminate(*_: object) -> None:
    raise _Terminated


def _act(options: argparse.Namespace, settings: Settings, changes: dict[str, Any]) -> None:
    """Do what the command says. Imports take seconds, for which no error should wait."""
    profile = options.profile
    match options.command:
        case "run":
            from .making import make

            make(options.names, profile, changes)
        case "report":
            from .making import report

            report(profile, changes)
        case "plan":
            from .notebooks import find, known

            names = options.names or [name for name in known() if name.startswith("table")]
            find(names)

            from ..engine import Store
            from ..plan import DryRun, told
            from ..report import undecided
            from ..runs import STORE
            from .grids import grids

            store, built = Store(STORE), DryRun(STORE / "packed")
            asked = grids(names, profile, changes, pipeline=built)
            stages = {name: grid.stages for name, grid in asked.items()}
            print(told(stages, built, settings, store, options.calibrate))
            for line in undecided(ROOT / "figures" / profile, names):
                print(line)
        case "status":
            from .status import status

            print(status(profile, changes))
        case "clean-store":
            from ..engine import Store
            from ..runs import STORE
            from .cleaning import clean

            clean(profile, changes, Store(STORE))
        case "data":
            from ..datasets import check as data

            data(settings)
        case "models":
            from ..hub import fetch

            fetch(settings)
        case "check":
            from ..plan import check

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
    for name, what, text in (
        ("set", "KEY=VALUE", "settings to alter, values as in YAML: training.rounds=3 seeds=[0,1]"),
        ("datasets", "NAME", "these data sets alone; folder:/path is an image folder"),
        ("seeds", "SEED", "these random seeds (default: the profile's)"),
    ):
        several = {"nargs": "+", "action": "extend", "default": []}
        common.add_argument(f"--{name}", metavar=what, help=text, **several)
    parser = argparse.ArgumentParser(prog="python -m regl_core", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    for name, count, text in (
        ("run", "+", "run notebooks, which make the tables and figures"),
        ("report", None, "make every table and figure, and one page that shows them all"),
        ("plan", "*", "say what running them would compute, and how long it would take"),
        ("status", None, "say of every table and figure: fresh, stale (and why), missing"),
        ("clean-store", None, "show what stored results could go, and delete as told"),
        ("data", None, "say which data sets are there and which are missing; decode them"),
        ("models", None, "say which models are there, and download the others"),
        ("check", None, "validate the settings and print them"),
    ):
        command = commands.add_parser(name, parents=[common], help=text, description=text)
        if count:
            every = " (default: all tables)" if count == "*" else ""
            command.add_argument("names", nargs=count, help=f"notebooks, as table2{every}")
        if name == "plan":
            command.add_argument(
                "--calibrate", action="store_true", help="measure the speed of this machine anew"
            )
    return parser
