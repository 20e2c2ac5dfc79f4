"""Holds every stage's bytes at smoke and every number of figures/desk, so that a move keeps them.

`python -m tools.guard` records them in tests/guard.json, under the arithmetic of this machine;
tests/test_guard.py compares. Record anew only with a change that is meant to change results.
"""

import csv
import hashlib
import json
from pathlib import Path

from regl_core.engine import Store, closure, run_stages
from regl_core.params import ROOT
from regl_core.pipeline import Pipeline
from regl_core.press.grids import grids, targets
from regl_core.press.notebooks import known
from regl_core.report import COLUMNS
from regl_core.runs import STORE

RECORD = ROOT / "tests/guard.json"


def arithmetic() -> str:
    """Name of this machine's arithmetic: a digest of what a few steps of training give on it."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.SiLU(), nn.Flatten(), nn.Linear(3136, 64)
    )
    attention = nn.MultiheadAttention(64, 4, batch_first=True)
    weights = [*net.parameters(), *attention.parameters()]
    with torch.no_grad():
        for weight in weights:
            weight.copy_(torch.randn(weight.shape, generator=random) * 0.1)
    images = torch.randn(8, 3, 16, 16, generator=random)
    for _ in range(5):
        out = net(images)[None]
        loss = attention(out, out, out)[0].softmax(-1).log().square().mean()
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.data -= 0.1 * gradient
    content = b"".join(weight.detach().numpy().tobytes() for weight in weights)
    return hashlib.sha256(content).hexdigest()[:16]


def stages() -> dict[str, list[str]]:
    """Digests of the results of all that the notebooks ask for at smoke, by kind of stage.

    What is missing in the store is computed. Keys and entry.json play no part.
    """
    store = Store(STORE)
    asked = grids(known(), "smoke", {}, pipeline=Pipeline(store.root / "packed"))
    everything = closure(targets(asked))
    run_stages(list(everything.values()), store, progress=False)
    found: dict[str, list[str]] = {}
    for stage in everything.values():
        found.setdefault(stage.kind, []).append(_content(store.path(stage)))
    return {kind: sorted(digests) for kind, digests in sorted(found.items())}


def numbers(folder: Path = ROOT / "figures/desk") -> dict[str, str]:
    """Digest of every CSV in `folder`, without the columns that say what made it."""
    return {path.name: _numbers(path) for path in sorted(folder.glob("*.csv"))}


def _content(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(it for it in folder.rglob("*") if it.is_file()):
        if path.name != "entry.json":
            total.update(path.relative_to(folder).as_posix().encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def _numbers(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [{k: v for k, v in row.items() if k not in COLUMNS} for row in csv.DictReader(lines)]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def main() -> None:
    """Record what is there now; other machines' records stay."""
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {"stages": {}}
    record["stages"][arithmetic()] = stages()
    record["numbers"] = numbers()
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
