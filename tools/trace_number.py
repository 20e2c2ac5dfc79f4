"""How much of regl_core one number of Table 2 passes: its files and functions.

`python -m tools.trace_number` computes FedAvg at the first β with the first seed, at the profile
smoke, in this process and in a new store, and counts the functions that are called, in threads too.
Comprehensions, generator expressions and lambdas belong to the function that holds them and do not
count; bodies of modules and classes do not either. `--list` names them all.
"""

import argparse
import inspect
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1] / "regl_core"


def traced(work: Callable[[], Any]) -> dict[str, set[str]]:
    """The functions of regl_core that `work` calls, by file."""
    found: dict[str, set[str]] = defaultdict(set)

    def called(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        # Bodies of modules and classes are not optimised; the others here have names like <lambda>.
        function = code.co_flags & inspect.CO_OPTIMIZED and not code.co_qualname.endswith(">")
        if event == "call" and function and code.co_filename.startswith(str(PACKAGE)):
            found[str(Path(code.co_filename).relative_to(PACKAGE))].add(code.co_qualname)

    threading.setprofile(called)
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return found


def number(method: str) -> float:
    """The accuracy in % of one cell of Table 2 at smoke, from its settings on."""
    from regl_core import params
    from regl_core.engine.store import Store
    from regl_core.partition import Dirichlet
    from regl_core.pipeline import Pipeline
    from regl_core.runs import Run

    settings = params.load("smoke")
    dataset, its = next(iter(settings.datasets.items()))
    run = Run(
        dataset=dataset,
        partition=Dirichlet(beta=settings.betas[0], clients=its.clients),
        method=method,
        seed=settings.seeds[0],
        settings=settings,
    )
    with tempfile.TemporaryDirectory() as folder:
        stage = run.stage(Pipeline(Path(folder, "packed")))
        return run.result(Store(Path(folder, "store")).ensure(stage)).accuracy_pct


def main() -> None:
    """Counts and prints."""
    parser = argparse.ArgumentParser(prog="python -m tools.trace_number", description=__doc__)
    parser.add_argument("--method", default="FedAvg", help="a row of Table 2")
    parser.add_argument("--list", action="store_true", help="print every function")
    asked = parser.parse_args()
    numbers: list[float] = []
    found = traced(lambda: numbers.append(number(asked.method)))
    if asked.list:
        for file, functions in sorted(found.items()):
            print(f"{file}: {', '.join(sorted(functions))}")
    print(
        f"{asked.method}, {numbers[0]:.1f} %: {sum(map(len, found.values()))} functions in "
        f"{len(found)} files of regl_core"
    )


if __name__ == "__main__":
    main()
