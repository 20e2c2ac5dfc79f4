"""Settings files that are wrong in any way: one clear error, no traceback, nothing executed."""

import ast
import copy
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
NAMES = ["method", "hyper-parameter", "prompt", "data set", "class list", "network", "model"]
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
# Each of these is a text as YAML wants it, and would be taken for something else, or end in a
# traceback, if it were not looked at before anything is computed.
PROMPTS = ["{class:s} photo", "{class!r}", "{class:>10} {class}", "{{class}}", "{class} {", "{0}"]
PROMPTS += ["{class.__init__}", "a photo", "{class} }", "{class} {{x}}", "{class}{caption}", ""]
PLACES_OF_MODELS = ["/etc/passwd", "~nobody-at-all/x", "owner/..", "/" + "x/" * 3000, "x" * 300]
PLACES_OF_MODELS += ["../tiny", "https://example.org/model", "a\0b", "x" * 5000, "$(touch {bait})"]
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


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
DESK = yaml.safe_load("\n".join(LINES))


def misnamed(draw, way: str) -> str:
    """The desk profile with one name in it that is nothing's."""
    tree = copy.deepcopy(DESK)
    group = tree[draw(st.sampled_from(["methods", "personal_methods"]))]
    match way:
        case "method":
            group[f"zz{draw(WORDS)}"] = {}
        case "hyper-parameter":
            name = draw(st.sampled_from(sorted(group)))
            fields = sorted(methods.known()[name].model_fields)
            if fields and draw(st.booleans()):
                group[name] = {draw(st.sampled_from(fields)): {"not": "a number"}}
            else:
                group[name] = {f"zz{draw(WORDS)}": 1}
        case "prompt":
            tree["synthesis"]["prompt"] = draw(st.sampled_from(PROMPTS))
        case "data set":
            tree["datasets"][f"zz{draw(WORDS)}"] = tree["datasets"]["digits"]
        case "class list":
            tree["datasets"]["digits"]["class_list"] = draw(WORDS)
        case "network":
            tree["training"]["model"] = f"zz{draw(WORDS)}"
        case "model":
            key = draw(st.sampled_from(["name", "image_encoder", "captioner"]))
            tree["foundation"] |= {"name": "owner/a", "image_encoder": "owner/b"}
            tree["foundation"] |= {
                "captioner": "owner/c",
                key: draw(st.sampled_from(PLACES_OF_MODELS)),
            }
    return yaml.safe_dump(tree)


@st.composite
def malformed(draw) -> str:
    """The desk profile, spoiled in one way that no reading of it can be right with."""
    if (way := draw(st.sampled_from(WAYS + NAMES))) in NAMES:
        return misnamed(draw, way)
    lines = list(LINES)
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


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
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


@pytest.mark.parametrize(
    "name",
    [
        *("..", ".", "../weights/tiny", "tiny/..", "tiny/../tiny", "/etc", "/etc/passwd", "~"),
        *("owner/..", "../owner", "owner/name/../..", "owner/na\0me", "~nobody-at-all/model", "\n"),
        *("$(touch bait)", "`touch bait`/x", "https://example.org/model"),
    ],
)
@pytest.mark.parametrize("key", ["name", "image_encoder"])
def test_a_model_is_a_whole_one_or_an_error(name, key):
    named = {"name": "/etc", "captioner": "/etc", "image_encoder": "/etc"} | {key: name}
    with pytest.raises(ReglError, match="foundation"):
        Sources(load("smoke", {"foundation": named}).foundation).digest()


LONG = ["x" * 300, "x/" * 3000, "/" + "x" * 300, "/" + "x/" * 3000]


@pytest.mark.parametrize("name", LONG, ids=["name", "parts", "path", "long path"])
@pytest.mark.parametrize("key", ["name", "image_encoder", "captioner"])
def test_a_name_too_long_for_a_file_is_one_line(name, key):
    named = {"name": "/etc", "captioner": "/etc", "image_encoder": "/etc"} | {key: name}
    found = Sources(load("smoke", {"foundation": named}).foundation).problems()
    (line,) = [it for it in found if f"foundation.{key}: " in it and "neither a folder" in it]
    assert len(line) < 300


@pytest.mark.parametrize("changes", [{"FedAvg": {"mu": 1}}, {"Foo": {}}, {"FedProx": {"mu": "a"}}])
@pytest.mark.parametrize("group", ["methods", "personal_methods"])
def test_check_refuses_what_no_run_could_be_built_from(group, changes, capsys):
    (name,) = changes
    assert (
        cli.main(
            [
                "check",
                "--set",
                f"{group}={yaml.safe_dump(changes, default_flow_style=True).strip()}",
            ]
        )
        == 2
    )
    out, err = capsys.readouterr()
    assert out == "" and f"params/desk.yaml: {group}: " in err and name in err


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
