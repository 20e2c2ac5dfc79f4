"""What compiling a network leaves on the disk lies where nobody else can put anything."""

import os
import stat
import subprocess
import sys

import pytest
from torch import nn
from torch._inductor import codecache

from regl_core import training
from regl_core.errors import Halt
from regl_core.params import ROOT, load
from regl_core.system import keep_private
from regl_core.training import compiled

CACHE = "TORCHINDUCTOR_CACHE_DIR"
PROGRAM = """
import sys
from pathlib import Path
import torch
from regl_core import training
from regl_core.params import load

training.CACHES = Path(sys.argv[1])
settings = load("smoke", {"training.compile": True}).training
net = training.compiled(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()), settings)
net(torch.ones(2, 4)).sum().backward()
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv(CACHE, "/tmp/of-anyone")
    for name in ("_HEADER_DIR", "_HEADER_LOCK_DIR"):
        monkeypatch.setattr(codecache, name, "/tmp/of-anyone")


def test_the_folder_is_the_users_alone(tmp_path, monkeypatch):
    before = os.umask(0)
    try:
        keep_private(tmp_path / "store/inductor")
        keep_private(tmp_path / "store/inductor")
    finally:
        os.umask(before)
    (folder,) = (tmp_path / "store/inductor").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert os.environ[CACHE] == str(folder)
    for place in (codecache._HEADER_DIR, codecache._HEADER_LOCK_DIR):
        assert place.startswith(f"{folder}/")


def opened(folder):
    folder.mkdir()
    folder.chmod(0o777)


def linked(folder):
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


def given_away(folder):
    folder.mkdir(mode=0o700)
    os.chown(folder, os.getuid() + 1, -1)


@pytest.mark.parametrize("made", [opened, linked, given_away])
def test_a_folder_that_others_made_or_can_write_to_is_refused(tmp_path, made):
    if made is given_away and os.getuid():
        pytest.skip("only root can give a folder away")
    keep_private(tmp_path)
    (folder,) = tmp_path.iterdir()
    folder.rmdir()
    made(folder)
    os.environ[CACHE] = "as before"
    with pytest.raises(Halt, match="open to others"):
        keep_private(tmp_path)
    assert os.environ[CACHE] == "as before"


def test_whatever_is_compiled_is_kept_there(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CACHES", tmp_path)
    monkeypatch.setattr(nn.Module, "compile", lambda net: None)
    for how in (False, True):
        compiled(nn.Linear(1, 1), load("smoke", {"training.compile": how}).training)
        assert (os.environ[CACHE] != "/tmp/of-anyone") is how


def test_nothing_is_written_outside_of_it(tmp_path):
    (tmp_path / "tmp").mkdir()
    changes = {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp"), "OMP_NUM_THREADS": "1"}
    environment = {name: value for name, value in os.environ.items() if name != CACHE}
    program = [sys.executable, "-c", PROGRAM, str(tmp_path / "caches")]
    done = subprocess.run(program, env=environment | changes, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert any(path.is_file() for path in (tmp_path / "caches").rglob("*"))
    assert not list((tmp_path / "tmp").glob("torchinductor*"))


def test_nothing_else_compiles():
    """`torch.compile` or `Module.compile` elsewhere would go round the folder."""
    found = {
        path.relative_to(ROOT / "regl_core").as_posix()
        for path in (ROOT / "regl_core").rglob("*.py")
        if "net.compile(" in path.read_text() or "torch.compile(" in path.read_text()
    }
    assert found == {"training.py"}
