"""One set of pins for everyone, and a Makefile that never takes a failed set-up for a made one."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from regl_core.params import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = [pin for pin in LOCK.replace("\\\n", " ").splitlines() if pin.strip()]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
NAMES = ("PROFILE", "TABLES", "FIGURES", "SET", "DATASETS", "SEEDS")  # what users set
TARGETS = [
    *("help", "setup", "data", "models", "tables", "figures", "report", "plan", "status"),
    *("clean-store", "test", "rehearsal", "test-faults", "test-mutations", "lab", "foundation"),
    *("bench", "bench-gpu", "clean-env"),
]


def pin(line: str) -> Requirement:
    return Requirement(line.split("--hash")[0])


def test_every_pin_is_exact_and_has_hashes():
    for line in PINS:
        assert re.fullmatch(r"[\w.-]+==[^=\s]+( ; [^\\]*?)?(\s+--hash=sha256:[0-9a-f]{64})+", line)


def test_pins_name_no_addresses():
    assert re.findall(r"://|^\s*-", re.sub(r"--hash", "", LOCK), re.MULTILINE) == []


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_pins_fulfil_what_the_project_asks_for(python):
    machine = {"python_version": python, "python_full_version": f"{python}.0"}
    machine |= {"sys_platform": "linux", "platform_machine": "x86_64", "platform_system": "Linux"}
    pins = [pin(line) for line in PINS]
    valid = [p for p in pins if not p.marker or p.marker.evaluate(machine)]
    versions = {canonicalize_name(p.name): str(p.specifier).removeprefix("==") for p in valid}
    assert len(versions) == len(valid), "a package is pinned twice"
    asked = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    for requirement in map(Requirement, asked):
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} but {version}"


def test_installed_versions_are_those_pinned():
    from importlib.metadata import version

    for requirement in filter(lambda p: not p.marker or p.marker.evaluate(), map(pin, PINS)):
        assert requirement.specifier.contains(version(requirement.name)), requirement


def test_conda_has_no_pins_of_its_own():
    *packages, from_pip = CONDA["dependencies"]
    assert from_pip == {"pip": ["--require-hashes", "-r requirements.lock"]}
    names = [re.split("=", package)[0] for package in packages]
    assert names == ["python", "pip"]
    python = packages[0].removeprefix("python=")
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{python}.0")
    assert set(CONDA) == {"name", "dependencies"}, "channels are the user's own"


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile and the pins, and stand-ins for Python in `python`/."""
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").mkdir()
    stand_in(tmp_path, "good", version=0)
    return tmp_path


def stand_in(checkout: Path, name: str, version: int, install: str = ":") -> None:
    """A "Python" that answers the version check with the status `version`, pip by `install`."""
    script = f"""#!/bin/sh
case "$*" in
  -c*fcntl*) exec {sys.executable} "$@" ;;
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  "-m pip install"*) echo "$*" >>calls; {install} ;;
  "-m pip --version") ;;
  "-m regl_core"*) echo "$*" >>calls ;;
  -c*version_info*) exit {version} ;;
esac
"""
    path = checkout / "python" / name
    path.write_text(script)
    path.chmod(0o755)


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess:
    """`make` without what the tests themselves were started with."""
    unset = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON", "VENV", *NAMES}
    clean = {name: value for name, value in os.environ.items() if name not in unset}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=checkout, env=clean, capture_output=True, text=True)


def calls(checkout: Path) -> list[str]:
    file = checkout / "calls"
    return file.read_text().splitlines() if file.exists() else []


def test_make_alone_lists_every_target(checkout):
    done = make(checkout)
    assert done.returncode == 0
    assert re.findall(r"^make (\S+)", done.stdout, re.MULTILINE) == TARGETS
    assert not (checkout / ".venv").exists()


def test_set_up_installs_the_pins_once(checkout):
    for _ in range(2):
        assert make(checkout, "setup", "PYTHON=python/good").returncode == 0
    assert calls(checkout) == ["-m pip install --require-hashes -r requirements.lock"]
    # A second later: two files touched at once can have the same time.
    later = (checkout / ".venv/.ready").stat().st_mtime + 1
    os.utime(checkout / "requirements.lock", (later, later))
    assert make(checkout, "setup", "PYTHON=python/good").returncode == 0
    assert len(calls(checkout)) == 2


def test_a_failed_installation_is_not_taken_for_done(checkout):
    stand_in(checkout, "bad", version=0, install="exit 1")
    for attempt in (1, 2):
        done = make(checkout, "tables", "PYTHON=python/bad")
        assert done.returncode != 0
        assert len(calls(checkout)) == attempt
        assert not (checkout / ".venv/.ready").exists()


def test_an_unfit_python_or_environment_is_named(checkout):
    stand_in(checkout, "old", version=1)
    for python in ("python/old", "python/none"):
        done = make(checkout, "setup", f"PYTHON={python}")
        assert done.returncode != 0
        assert f"error: {python} is not Python 3.11 to 3.14" in done.stderr
        assert not (checkout / ".venv").exists()
    (checkout / ".venv/bin").mkdir(parents=True)
    shutil.copy(checkout / "python/old", checkout / ".venv/bin/python")
    done = make(checkout, "setup", "PYTHON=python/good")
    assert done.returncode != 0
    assert "error: .venv is not of Python 3.11 to 3.14" in done.stderr


def test_variables_reach_the_command_line(checkout):
    (checkout / "seeds=0").touch()  # the shell must not take the brackets for a file name
    command = ["plan", "PROFILE=smoke", "TABLES=3", "SET=seeds=[0,1] lora.rank=2"]
    assert make(checkout, *command, "PYTHON=python/good").returncode == 0
    expected = "-m regl_core plan table3 --profile smoke --set seeds=[0,1] lora.rank=2"
    assert calls(checkout)[-1] == expected
    command = ["data", "DATASETS=cub folder:/my/photos", "SEEDS=0 1", "SET=betas=[1]"]
    assert make(checkout, *command, "PYTHON=python/good").returncode == 0
    chosen = "--datasets cub folder:/my/photos --seeds 0 1 --set betas=[1]"
    assert calls(checkout)[-1] == f"-m regl_core data --profile desk {chosen}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["a; touch bait", "$$(touch bait)"])
def test_nothing_in_a_variable_is_executed(checkout, name, text):
    target = "figures" if name == "FIGURES" else "tables"
    make(checkout, target, f"{name}={text}", "PYTHON=python/good")
    assert not (checkout / "bait").exists()
    # As the shell splits it, signs and all.
    assert text.replace("$$", "$").split()[-1] in calls(checkout)[-1]


def test_tables_are_those_that_have_a_notebook_at_the_desk_profile(checkout):
    (checkout / "notebooks").mkdir()
    for name in ("table4", "table2", "table3", "fig1"):
        (checkout / "notebooks" / f"{name}.ipynb").touch()
    assert make(checkout, "tables", "PYTHON=python/good").returncode == 0
    assert calls(checkout)[-1] == "-m regl_core run table2 table3 table4 --profile desk"


def test_ci_runs_the_rehearsal_and_the_tests():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-2:] == ["make rehearsal", "make test"]


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        (["tables", "TABLE=2"], "did you mean TABLES?"),
        (["tables", "profile=smoke"], "did you mean PROFILE?"),
        (["tables", "SET=training.rounds=3", "lora.rank=2"], "lora.rank is no variable"),
        (["report", "TABLES=2"], "make tables TABLES=2"),
    ],
)
def test_a_slip_starts_no_job(checkout, slip, said):
    done = make(checkout, *slip, "PYTHON=python3")
    assert done.returncode == 2 and said in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("asked", [["tables", "TABLES=2,5"], ["tables", "TABLES=2 5"]])
def test_several_tables_are_divided_by_commas_or_spaces(checkout, asked):
    assert make(checkout, *asked, "PYTHON=python/good").returncode == 0
    assert calls(checkout)[-1] == "-m regl_core run table2 table5 --profile desk"


def test_a_table_is_a_target_of_its_own(checkout):
    (checkout / "notebooks").mkdir()
    (checkout / "notebooks/fig5.ipynb").touch()
    assert make(checkout, "fig5", "PROFILE=smoke", "PYTHON=python/good").returncode == 0
    assert calls(checkout)[-1] == "-m regl_core run fig5 --profile smoke"
