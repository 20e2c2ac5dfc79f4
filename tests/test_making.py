"""From notebooks to files: what fails takes nothing else with it, and what was made is recorded."""

import json

import pytest
from toy_notebooks import TOYS, write
from toy_stages import Draw

from regl_core import runs
from regl_core.engine import Store
from regl_core.errors import Incomplete
from regl_core.params import ROOT, load
from regl_core.press.freshness import of_notebook, state
from regl_core.press.making import make

WRITE = """
import pandas as pd
from pathlib import Path
from regl_core.report import write_csv
from regl_core.params import load
frame = pd.DataFrame({{"value": [1]}})
write_csv(frame, {name!r}, load(profile, changes), Path({folder!r}))"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root where fig5 and table2 can be made, and table3 cannot: a worker is killed."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}")
    monkeypatch.setattr(runs, "STORE", tmp_path / ".store")
    (tmp_path / "notebooks").mkdir()
    for name, stage in (
        ("fig5", "Draw(1)"),
        ("table2", "Draw(2, (Draw(1),))"),
        ("table3", 'Draw(3, (Broken("killed"),))'),
    ):
        making = WRITE.format(name=name, folder=str(tmp_path / "figures/smoke"))
        write(tmp_path / "notebooks", name, making, grid=TOYS.format(stages=f"[{stage}]"))
    return tmp_path


def test_what_can_be_made_is_made_and_recorded(root, capsys):
    with pytest.raises(Incomplete) as raised:
        make(["fig5", "table2", "table3"], "smoke", {}, root)
    text = str(raised.value)
    assert text.startswith("1 of 4 stages failed, 1 were not begun, 2 are finished and kept")
    assert "SIGKILL" in text and text.endswith("not run: table3")
    folder = root / "figures/smoke"
    made = {path.name for path in folder.glob("*.csv")}
    assert made == {"fig5.csv", "table2.csv"}
    for ending in ("json", "html"):
        found = {path.stem for path in folder.glob(f"notebooks/*.{ending}")}
        assert found == {"fig5", "table2"}
    facts = json.loads((folder / "notebooks/fig5.json").read_text())
    assert set(facts["files"]) == {"fig5.csv", "fig5.html"}
    settings, stage = load("smoke"), Draw(1)
    asked = {"fig5": [stage], "table2": [Draw(2, (stage,))], "table3": [Draw(4)]}
    now = {it: of_notebook(root / f"notebooks/{it}.ipynb", asked[it], settings) for it in asked}
    found = {it: state(it, making, folder).word for it, making in now.items()}
    assert found == {"fig5": "fresh", "table2": "fresh", "table3": "missing"}
    assert Store(root / ".store").has(stage)
