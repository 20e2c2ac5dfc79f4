"""Every stage's key: code that can alter its result alters it, all other code does not."""

import ast
import json
import os
import shutil
import subprocess
import sys

import pytest

from regl_core.params import ROOT

PROBED = "regl_core/evidence/probes.py"
CLASSES = {
    node.name: (f"regl_core.{path.parent.name}.{path.stem}", {*map(ast.unparse, node.bases)})
    for path in [*sorted((ROOT / "regl_core/stages").glob("*.py")), ROOT / PROBED]
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.ClassDef)
}
STAGES = {
    name: (module, name)
    for name, (module, bases) in CLASSES.items()
    if "Stage" in bases | {above for base in bases & CLASSES.keys() for above in CLASSES[base][1]}
}
NAMES = {
    **{kind: [name] for kind, name in STAGES.items()},
    "SCAFFOLD": [STAGES["Trained"], ("regl_core.methods.scaffold", "Scaffold")],
    "FedAvg": [STAGES["Trained"], ("regl_core.methods.fedavg", "FedAvg")],
    "decoder": [("regl_core.datasets.decoding", "attempted")],
    "pictures": [("regl_core.datasets.decoding", "Originals")],
}
METHODS = {"SCAFFOLD", "FedAvg"}
# What the digest of an image folder knows of code, as stages see it through that (`Originals`).
IMAGES = {"decoder", "pictures"}
RUN = {"Trained", *METHODS}
FEDERATED = RUN | {"Personalized", "Updated"}
DRAWN = {"Vanilla", "LoraImages"}
# Of these only the data sets are drawn, which keys know by the digest of their bytes.
UNSEEDED = {"Captioned", "Embedded", "EmbeddedReal", "EmbeddedTest", "Distance", "Typeset"}
SEEN = {"Captioned", "Tuned", "Embedded", "EmbeddedReal", "EmbeddedTest", "Probed"}

# (file, text, its replacement, stages whose result it can alter)
ALTERING = [
    ("generation.py", "* 255).round()", "* 255).floor()", DRAWN),
    ("foundation.py", "torch.channels_last", "torch.contiguous_format", DRAWN | {"Tuned"}),
    ("system/memory.py", "(size + 1) // 2", "size // 2", DRAWN | SEEN),
    ("tuning.py", "weight_decay=1e-2", "weight_decay=1e-3", {"Tuned"}),
    ("conditions.py", "F.normalize(foundation", "F.relu(foundation", SEEN),
    ("stages/distances.py", "- 2 * apart", "- 3 * apart", {"Distance"}),
    ("training.py", "return 100 * Fitting", "return 99 * Fitting", FEDERATED | {"Probed"}),
    ("training.py", "torch.randperm(len(data)", "torch.randperm(+len(data)", FEDERATED | {"Judge"}),
    ("personalization.py", "data.labels[:real].unique()", "data.labels.unique()", {"Personalized"}),
    ("stages/updated.py", "(torch.bincount(labels, each) /", "(labels.float() /", {"Updated"}),
    ("evidence/probes.py", "decay.step()", "decay.step(0)", {"Judge", "Probed"}),
    ("models.py", 'nonlinearity="relu"', 'nonlinearity="linear"', FEDERATED | {"Judge", "Probed"}),
    ("seeds.py", ">> 1", ">> 2", set(NAMES) - UNSEEDED - IMAGES),
    ("federation.py", "sorted(drawn.tolist())", "drawn.tolist()", RUN),
    (
        "partition.py",
        '"test_split", int(group[0])',
        '"split", int(group[0])',
        RUN | {"Personalized"},
    ),
    ("training.py", 'ReglError("no test images', 'OSError("no test images', FEDERATED | {"Probed"}),
    ("training.py", "if not len(data):", "if len(data) < 2:", FEDERATED | {"Probed"}),
    ("__init__.py", '__version__ = "0', 'print()\n__version__ = "0', set(NAMES)),
    ("stages/__init__.py", '"""The stages', 'print()\n"""The stages', set(NAMES) - IMAGES),
    ("methods/__init__.py", '"""The methods', 'print()\n"""The methods', METHODS),
    ("methods/scaffold.py", 'return {"c": own}', 'return {"c": own * 2}', {"SCAFFOLD"}),
    ("methods/fedavg.py", "server.weights | weighted", "server.weights & weighted", {"FedAvg"}),
    ("datasets/decoding.py", "Image.Resampling.BILINEAR", "Image.Resampling.NEAREST", IMAGES),
    ("datasets/decoding.py", "return decoded(path", "return 255 - decoded(path", IMAGES),
    ("datasets/decoding.py", "np.array(found,", "255 - np.array(found,", {"pictures"}),
]
HARMLESS = [
    ("hub/sources.py", "is missing; {mend}", "is not there; {mend}"),
    ("hub/components.py", "is damaged", "is broken"),
    ("generation.py", '"""One image for each prompt', '"""An image for each prompt'),
    ("tuning.py", "# seconds of imports", "# moments of imports"),
    ("training.py", "    net.eval()\n", "\n    net.eval()  # for BatchNorm\n"),
    ("training.py", "no test images: give", "not one test image, give"),
    ("settings/frozen.py", "did you mean", "do you mean"),
    ("settings/frozen.py", "problems:", "faults:"),
    ("models.py", "expected a multiple of 8", "expected 8, 16, 24 and so on"),
    ("engine/checkpoints.py", "EVERY = 30.0", "EVERY = 60.0"),
    ("engine/checkpoints.py", "LONG = 3.0", "LONG = 5.0"),
    ("engine/workers.py", "INTERVAL = 0.2", "INTERVAL = 0.4"),
    ("engine/entry.py", "indent=1", "indent=2"),
    ("system/files.py", "poll_interval=0.1", "poll_interval=0.2"),
    ("__init__.py", '__version__ = "0', '__version__ = "1'),
    ("report/provenance.py", "dpi=150", "dpi=300"),
    ("report/tables.py", "with a caption", "with a title"),
    ("errors.py", "class Halt(ReglError)", "class Stop(ReglError)"),
    ("press/commandline.py", "return 128 + ", "return 129 + "),
]
PROGRAM = """
import json, sys
from pathlib import Path
from regl_core.engine import code_digest
names, edits = json.load(sys.stdin)
def all_digests():
    return {name: code_digest.__wrapped__(*map(tuple, own)) for name, own in names.items()}
found = [all_digests()]
for file, old, new in edits:
    path = Path("regl_core", file)
    text = path.read_text()
    assert old in text and old != new, (file, old)
    path.write_text(text.replace(old, new, 1))
    found.append(all_digests())
    path.write_text(text)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def digests(tmp_path_factory) -> list[dict[str, str]]:
    """Of every stage the digest of its code: as it is, then after each edit in turn, alone."""
    root = tmp_path_factory.mktemp("copy")
    ignore = shutil.ignore_patterns("shipped", "__pycache__")
    shutil.copytree(ROOT / "regl_core", root / "regl_core", ignore=ignore)
    edits = [edit[:3] for edit in [*ALTERING, *HARMLESS]]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([NAMES, edits]),
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def altered(digests: list[dict[str, str]], number: int) -> set[str]:
    return {name for name in NAMES if digests[1 + number][name] != digests[0][name]}


@pytest.mark.parametrize("number", range(len(ALTERING)), ids=lambda i: ALTERING[i][0])
def test_code_that_can_alter_a_result_alters_the_key(digests, number):
    assert altered(digests, number) >= ALTERING[number][3]


@pytest.mark.parametrize("number", range(len(HARMLESS)), ids=lambda i: HARMLESS[i][0])
def test_other_code_does_not(digests, number):
    assert altered(digests, len(ALTERING) + number) == set()


def test_code_of_one_stage_is_not_all_code(digests):
    """What only one stage runs leaves the others' keys alone."""
    alone = {file: altered(digests, i) for i, (file, *_) in enumerate(ALTERING)}
    assert alone["stages/distances.py"] == {"Distance"}
    assert alone["methods/scaffold.py"] == {"SCAFFOLD"}
    assert "Vanilla" not in alone["training.py"] | alone["models.py"] | alone["tuning.py"]


def test_every_stage_is_tried():
    assert set().union(*(stages for *_, stages in ALTERING)) == set(NAMES)
