"""Settings: shipped profiles are complete and commented, and every mistake is one clear error."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from regl_core import methods
from regl_core.errors import ReglError
from regl_core.params import ROOT, load
from regl_core.settings import parse

PROFILES = ("smoke", "desk", "paper")


def leaves(tree: Mapping[str, Any], group: str = "") -> list[str]:
    keys = []
    for key, value in tree.items():
        keys += leaves(value, f"{group}{key}.") if isinstance(value, dict) else [f"{group}{key}"]
    return keys


DESK = yaml.safe_load((ROOT / "params/desk.yaml").read_text())
KEYS = leaves({key: value for key, value in DESK.items() if key != "methods"})


def message(changes: Any, profile: str = "desk") -> str:
    with pytest.raises(ReglError) as caught:
        load(profile, changes)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    """A folder with the desk profile in it, for tests to spoil."""
    (tmp_path / "desk.yaml").write_text((ROOT / "params/desk.yaml").read_text())
    return tmp_path


def spoiled(folder, old: str, new: str) -> str:
    file = folder / "desk.yaml"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    with pytest.raises(ReglError) as caught:
        load("desk", {}, folder)
    return str(caught.value)


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_loads(profile):
    settings = load(profile)
    assert settings.profile == profile
    assert {"Centralized", "FedAvg", "ReGL (TF)", "ReGL (FT)"} <= set(settings.methods)
    for name, hyperparameters in settings.methods.items():
        assert methods.get(name, hyperparameters).name == name


@pytest.mark.parametrize("profile", PROFILES)
def test_every_line_says_unit_and_source(profile):
    lines = (ROOT / f"params/{profile}.yaml").read_text().splitlines()
    settings = [line for line in lines if line.strip() and not line.startswith("#")]
    assert [line for line in settings if not re.search(r"  # .{3,}", line)] == []


def test_profiles_have_the_same_settings():
    trees = [yaml.safe_load((ROOT / f"params/{profile}.yaml").read_text()) for profile in PROFILES]
    own = ("datasets", "methods", "personal_methods")
    common = [{k: v for k, v in tree.items() if k not in own} for tree in trees]
    assert leaves(common[0]) == leaves(common[1]) == leaves(common[2])


def test_paper_profile_has_the_numbers_of_the_paper():
    paper = load("paper")
    volumes = {name: its.synthetic_per_class for name, its in paper.datasets.items()}
    clients = {name: its.clients for name, its in paper.datasets.items()}
    assert volumes == dict(imagefruit=1300, imagenet100=1300, cub=100, cars=100, eurosat=3000)
    assert clients == dict(imagefruit=5, imagenet100=10, cub=20, cars=20, eurosat=5)
    assert (paper.training.rounds, paper.training.local_epochs) == (200, 5)
    assert (paper.training.model, paper.training.batch_size) == ("resnet34", 128)
    assert (len(paper.seeds), paper.personalization.epochs, paper.lora.strength) == (5, 50, 0.8)


def test_paper_profile_explains_every_decision():
    lines = (ROOT / "params/paper.yaml").read_text().splitlines()
    numbers = [
        int(m[1]) for line in lines if (m := re.match(r"# ?(\d+)  \w", line.replace("#  ", "# ")))
    ]
    assert numbers == list(range(1, 18))


def test_changes_dotted_or_nested_are_the_same():
    assert load("desk", {"training.rounds": 3}) == load("desk", {"training": {"rounds": 3}})
    assert load("desk", {"training.rounds": 3}) != load("desk")
    assert load("desk", {"training.rounds": 3}).training.local_epochs == 5
    assert load("desk", {"seeds": [7]}).seeds == (7,)


def test_changes_may_add_a_data_set_or_a_method():
    mine = DESK["datasets"]["digits"] | {"root": "photos", "clients": 2}
    settings = load("desk", {"datasets": {"mine": mine}, "methods.FedProx": {"mu": 0.1}})
    assert list(settings.datasets) == ["digits", "mine"]
    assert settings.methods["FedProx"] == {"mu": 0.1}
    assert "mine" not in load("desk").datasets


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"training.roundz": 3}, ["training.roundz", "unknown key", "did you mean rounds?"]),
        ({"trainin.rounds": 3}, ["no group trainin", "did you mean training?"]),
        ({"datasets.digit.clients": 3}, ["datasets.digit", "did you mean datasets.digits?"]),
        ({"datasets": {"mine": {"clients": 3}}}, ["datasets.mine.root: missing"]),
        ({"training.rate": "1e-4"}, ["training.rate", "'1e-4'", "number"]),
        ({"training.rounds": "3"}, ["'3'", "integer"]),
        ({"training.rounds": 2.5}, ["training.rounds", "2.5", "integer"]),
        ({"training.rounds": True}, ["True", "integer"]),
        ({"training.rate": True}, ["True", "number"]),
        ({"training.rate": 0}, ["given 0", "greater than 0"]),
        ({"training.rate": float("inf")}, ["finite"]),
        ({"training.momentum": 1.0}, ["less than 1"]),
        ({"training.client_fraction": 1.1}, ["1.1", "less than or equal to 1"]),
        ({"training.device": "gpu"}, ["'gpu'", "'cpu', 'cuda' or 'auto'"]),
        ({"training": 3}, ["training", "given 3", "group of settings"]),
        ({"betas": [0.5, -1]}, ["betas.1", "-1", "greater than 0"]),
        ({"betas": 0.5}, ["betas", "0.5"]),
        ({"betas": []}, ["betas", "at least one"]),
        ({"seeds": [0, 0]}, ["seeds", "(0, 0)", "no value twice"]),
        ({"datasets.digits.image_side": 20}, ["20", "multiple of 8"]),
        ({"synthesis.prompt": "A photo"}, ["'A photo'", "{class}"]),
        ({"synthesis.prompt": "{class} {caption}"}, ["{class}"]),
        ({"synthesis.prompt": "{class"}, ["braces"]),
        *(
            ({"synthesis.prompt": f"A {it}, {{class}}"}, ["no other braces"])
            for it in ("{class:s}", "{class!r}", "{class:>9}", "{{class}}", "}", "{}", "{class.x}")
        ),
        ({"lora.prior_share": 1}, ["prior_share", "less than 1"]),
        ({"ablations.datasets": ["digit"]}, ["'digit' (did you mean digits?), expected names out"]),
        ({"ablations.datasets": []}, ["at least one"]),
        ({"ablations.clients": [5, 5]}, ["no value twice"]),
        ({"choice.train_per_class": [0]}, ["choice.train_per_class.0: given 0"]),
        ({"profile": "paper"}, ["profile", "unknown key"]),
        ([], ["given []", "keys"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_change_is_named(change, words):
    text = message(change)
    assert text.startswith("changes: ") or "\n  changes: " in text
    assert all(word in text for word in words), text


def test_all_problems_are_named_at_once():
    text = message({"training.rate": "1e-4", "training.roundz": 3, "betas": [0]})
    assert text.startswith("3 problems:\n")
    assert all(key in text for key in ("training.rate", "training.roundz", "betas.0"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  rounds: 20", "  roundz: 20", ["training.rounds: missing", "mean rounds?"]),
        ("  rounds: 20", "  rank: 8\n  rank: 9", ["'rank' stands twice", "line"]),
        ("\nbetas: [", "\nbetas: [[", ["expected YAML", "line"]),
        ("\nbetas: ", "\nbetas: !!timestamp ", ["expected YAML"]),
    ],
)
def test_a_wrong_file_is_named(folder, old, new, words):
    text = spoiled(folder, old, new)
    assert str(folder / "desk.yaml") in text
    assert all(word in text for word in words), text


def test_numbers_with_powers_are_numbers(folder):
    """Which YAML 1.1 takes for texts where they have no point or no sign."""
    file = folder / "desk.yaml"
    file.write_text(file.read_text().replace("rate: 0.2 ", "rate: 2e-1 ", 1))
    assert load("desk", {}, folder) == load("desk")
    assert [parse(it, "") for it in ("1e-4", "2.5E+4", "-1.e3", "e3", "'1e3'")] == [
        *(1e-4, 2.5e4, -1e3, "e3", "1e3")
    ]


def test_file_and_changes_are_told_apart(folder):
    file = folder / "desk.yaml"
    file.write_text(file.read_text().replace("rate: 0.8 ", "rate: x ", 1))
    with pytest.raises(ReglError) as caught:
        load("desk", {"lora.rank": 0}, folder)
    assert re.search(r"\n  changes: lora.rank: given 0", str(caught.value))
    assert re.search(r"\n  \S+desk.yaml: training.rate: given 'x'", str(caught.value))
    assert load("desk", {"training.rate": 0.8}, folder) == load("desk")


@pytest.mark.parametrize("text", [b"", b"- 1", b"\xff\xfe\x00", b"a: 1", b"\x00"])
def test_a_file_of_something_else_is_an_error(folder, text):
    (folder / "desk.yaml").write_bytes(text)
    with pytest.raises(ReglError, match=r"desk\.yaml"):
        load("desk", {}, folder)


@pytest.mark.parametrize("profile", ["dsk", "../desk", "", "desk.yaml", 3, None, ["desk"]])
def test_an_unknown_profile_is_an_error(profile):
    assert "expected one of desk, paper, smoke" in message({}, profile)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**320)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1e-4", "3", "{class}", "{", "cpu", "tiny"])
    | st.dates()
    | st.binary(max_size=3)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = st.sampled_from([*KEYS, *DESK, "methods.FedAvg", "methods.FedAvg.mu", "datasets.digits"])


def loads_or_explains(*arguments) -> None:
    try:
        load(*arguments)
    except ReglError as error:
        assert str(error)


@given(st.dictionaries(PATHS | st.text(max_size=8) | st.integers(), VALUES, max_size=3))
def test_any_change_is_taken_or_answered_by_one_error(changes):
    loads_or_explains("desk", changes)


@given(st.text(max_size=40) | st.binary(max_size=40), st.integers(0, 120))
def test_any_file_is_taken_or_answered_by_one_error(tmp_path_factory, spoil, line):
    lines = (ROOT / "params/desk.yaml").read_bytes().splitlines()
    lines[min(line, len(lines) - 1)] = spoil if isinstance(spoil, bytes) else spoil.encode()
    folder = tmp_path_factory.mktemp("params")
    (folder / "desk.yaml").write_bytes(b"\n".join(lines))
    loads_or_explains("desk", {}, folder)
