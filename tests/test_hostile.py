"""Settings files that are wrong in any way: one clear error, no traceback, nothing executed."""

import ast
import re
from functools import partial

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_params import KEYS, VALUES

from regl_core import methods
from regl_core.errors import ReglError
from regl_core.hub import Sources
from regl_core.params import ROOT, load, profiles
from regl_core.press import commandline as cli

LINES = (ROOT / "params/desk.yaml").read_text().splitlines()
SETTING = re.compile(r"^( +)(\w+): +(?!\{)[^ #]")  # a line that gives one setting a value
METHODS = next(i for i, line in enumerate(LINES) if line.startswith("methods:"))
PLACES = [i for i, line in enumerate(LINES[:METHODS]) if SETTING.match(line)]  # all are needed
WAYS = ["value", "tag", "unknown", "twice", "lost", "indent", "junk", "group", "alias"]
JUNK = ["}", "]", "%", "@x", "`", "\x00", ": :", "- a"]
GROUPS = ["training: 3", "x: [", "? ?"]
# Each would do something, or fill the memory, if more than plain data were read.
TAGS = [
    "!!python/object/apply:os.system ['touch {bait}']",
    "!!python/object/new:pathlib.Path ['{bait}']",
    "!!python/name:os.system",
    "!!python/object/apply:builtins.exec [\"open('{bait}', 'w')\"]",
    "!include {bait}",
    "!!binary nonsense",
    "*nowhere",
]
# What could run code from a file that is read, or write outside of a folder that is unpacked.
UNSAFE = {
    *("torch.load", "torch.save", "pickle.load", "pickle.loads", "pickle.dump", "joblib.load"),
    *("np.load", "np.save", "pd.read_pickle", "yaml.unsafe_load", "yaml.full_load", "eval", "exec"),
    *("os.system", "os.popen", "subprocess.getoutput", "tarfile.open", "zipfile.ZipFile"),
    "shutil.unpack_archive",
}
UNSAFE_WORDS = {"shell", "trust_remote_code", "allow_pickle"}
ALLOWED = {
    ("checkpoints.py", "torch.load"),  # with `weights_only`: see test_checkpoints
    ("checkpoints.py", "torch.save"),
    ("workers.py", "pickle.loads"),  # from its own parent, through a pipe
    ("grids.py", "exec"),  # the repository's own notebooks
}


DESK = yaml.safe_load("\n".join(LINES))


@st.composite
def malformed(draw) -> str:
    """The desk profile, spoiled in one way that no reading of it can be right with."""
    lines, way = list(LINES), draw(st.sampled_from(WAYS))
    place = draw(st.sampled_from(PLACES))
    indent, key = SETTING.match(lines[place]).groups()
    match way:
        case "value":
            wrong = st.dictionaries(st.integers(), st.integers(), min_size=1, max_size=2)
            found = draw(wrong | st.lists(st.lists(st.none(), min_size=1), min_size=1, max_size=2))
            lines[place] = f"{indent}{key}: {yaml.safe_dump(found, default_flow_style=True)}"
        case "tag":
            lines[place] = f"{indent}{key}: {draw(st.sampled_from(TAGS))}"
        case "unknown":
            name = draw(st.text("abcdefghijklmnopqrstuvwxyz_.-", min_size=1, max_size=12))
            value = yaml.safe_dump(draw(VALUES), default_flow_style=True, allow_unicode=True)
            lines.insert(place, f"{indent}zz{name}: {value.replace('...', '').strip()}")
        case "twice":
            lines.insert(place, lines[place])
        case "lost":
            del lines[place]
        case "indent":
            lines[place] = "\t" + lines[place]
        case "junk":
            lines.insert(place, draw(st.sampled_from(JUNK)))
        case "group":
            top = [i for i, line in enumerate(lines) if re.match(r"\w+:", line)]
            lines[draw(st.sampled_from(top))] = draw(st.sampled_from(GROUPS))
        case "alias":  # nine such lines can hold a billion values
            lines.append("a: &a [x, x]\nb: [*a, *a]")
    return "\n".join(lines)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=malformed())
def test_a_malformed_file_is_answered_by_one_error(tmp_path_factory, capsys, text):
    folder = tmp_path_factory.mktemp("params")
    bait = folder / "bait"
    (folder / "desk.yaml").write_text(text.replace("{bait}", str(bait)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "load", partial(load, folder=folder))
        assert cli.main(["check"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("error: ") == 1
    assert "desk.yaml" in err and "Traceback" not in err
    assert len(err) < 5000
    assert not bait.exists()


@pytest.mark.parametrize(
    "profile", ["../params/desk", "/etc/passwd", "desk/../desk", "..", "", "desk.yaml", "desk\0"]
)
def test_a_profile_is_a_name_and_no_path(profile, capsys):
    assert cli.main(["check", "--profile", profile]) == 2
    assert "is unknown" in capsys.readouterr().err


NAMES = [
    *("..", ".", "../weights/tiny", "tiny/..", "tiny/../tiny", "/etc", "/etc/passwd", "~", "\n"),
    *("owner/..", "../owner", "owner/name/../..", "owner/na\0me", "~nobody-at-all/model"),
    *("$(touch bait)", "`touch bait`/x", "https://example.org/model"),
    *("x" * 300, "x/" * 3000, "/" + "x" * 300, "/" + "x/" * 3000),  # too long for a file
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30])
@pytest.mark.parametrize("key", ["name", "image_encoder", "captioner"])
def test_a_model_is_a_whole_one_or_one_line(name, key, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    named = dict.fromkeys(("name", "captioner", "image_encoder"), str(tmp_path)) | {key: name}
    sources = Sources(load("smoke", {"foundation": named}).foundation)
    assert any(it.startswith(f"foundation.{key}: ") for it in sources.problems())
    with pytest.raises(ReglError, match="foundation"):
        sources.digest()


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        *((it, "FedAvg", {"mu": 1}) for it in ("methods", "personal_methods")),
        ("methods", "FedProx", {"mu": "a"}),
        ("methods", "Foo", {}),
        ("datasets", "zz", DESK["datasets"]["digits"]),
        ("training", "model", "zz"),
    ],
)
def test_check_refuses_what_no_run_could_be_built_from(group, name, value, capsys):
    given = yaml.safe_dump({name: value}, default_flow_style=True, width=10**4).strip()
    assert cli.main(["check", "--set", f"{group}={given}"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "params/desk.yaml: " in err and (name in err or value in err)


def test_check_refuses_settings_that_a_method_cannot_run_with(monkeypatch, capsys):
    def check(self, training):
        if training.momentum:
            raise ReglError("FedAvg without momentum")

    monkeypatch.setattr(methods.known()["FedAvg"], "check", check)
    assert cli.main(["check"]) == 0
    assert cli.main(["check", "--set", "training.momentum=0.5"]) == 2
    assert "FedAvg without momentum" in capsys.readouterr().err


def test_check_passes_every_profile(capsys):
    for profile in profiles():
        assert cli.main(["check", "--profile", profile]) == 0


def test_nothing_executes_what_it_reads_or_unpacks_archives():
    found = set()
    for path in (ROOT / "regl_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                words = {ast.unparse(node.func), *(word.arg for word in node.keywords)}
                found |= {(path.name, name) for name in words & (UNSAFE | UNSAFE_WORDS)}
    assert found == ALLOWED


def test_most_settings_can_be_spoiled():
    keys = {SETTING.match(LINES[place])[2] for place in PLACES}
    assert len(PLACES) > 50 and keys <= {key.split(".")[-1] for key in KEYS}
