"""Keys: what alters the name of a result, and what does not."""

import os
import sys
from pathlib import Path

import pytest
from toy_stages import Draw, Holder, Model, Setting

import regl_core.engine.stage
from regl_core.engine import code_digest, library_versions
from regl_core.engine.digest import check_unchanged
from regl_core.errors import ReglError

PACKAGE = {
    "__init__.py": '"""A package."""\n',
    "stages.py": '''"""Two stages in one file."""

import math, json
from . import heavy, light
from .values import Value

LIMIT = 3
OTHER = 4


def helper(x):
    """Help."""
    return x + LIMIT  # to the limit


class One:
    """The first."""

    heavy: int = 1

    def compute(self):
        from .late import last

        return helper(light.go()) + last() + math.pi


class Two(One):
    def compute(self):
        return heavy.go() + OTHER
''',
    "light.py": "from .sub.deep import inner as deeper\n\n\ndef go():\n    return deeper()\n",
    "heavy.py": "def go():\n    return 2\n",
    "late.py": (
        "def last(x=0):\n    if x > 5:\n        raise ValueError(f'{x} is ' + 'large')\n"
        "    if x < 0:\n        raise made('low', code=f'{x}')\n"
        "    if x == 5:\n        raise OSError(5, 'five', kind='odd')\n    return 0\n"
    ),
    "values.py": (
        "class Value:\n    size: 'Unit' = 1\n\n\nclass Other:\n    size = 5\n\n\n"
        "class Unit:\n    scale = 7\n"
    ),
    "sub/__init__.py": "",
    "sub/deep.py": "from ..base import START\n\n\ndef inner():\n    return START\n",
    "base.py": "UNUSED = 1\nSTART = 10\nkinds = {}\nkinds['a'] = 1\n",
}


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """A function (changes, classes) -> digest, for the package above with texts replaced."""
    counter = iter(range(100))

    def of(*changes: tuple[str, str, str], names: tuple = (("pack.stages", "One"),)) -> str:
        root = tmp_path / str(next(counter))
        for name, text in PACKAGE.items():
            for file, old, new in changes:
                if file == name:
                    assert old in text
                    text = text.replace(old, new)
            path = root / "pack" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(root)
        return code_digest.__wrapped__(*names)

    return of


@pytest.mark.parametrize(
    "change",
    [
        ("stages.py", "LIMIT = 3", "LIMIT = 5"),
        ("stages.py", "x + LIMIT", "x - LIMIT"),
        ("stages.py", "OTHER = 4", "OTHER = 4\nprint(OTHER)"),
        ("stages.py", "heavy: int = 1", "heavy: int = 2"),
        ("light.py", "return deeper()", "return -deeper()"),
        ("late.py", "return 0", "return 1"),
        ("late.py", "x > 5", "x > 6"),
        ("late.py", "ValueError", "TypeError"),
        ("late.py", "made('low'", "made('high'"),  # it may go by its text
        ("late.py", "OSError(5,", "OSError(6,"),
        ("late.py", "kind='odd'", "kind='five'"),
        # Importing a module runs the packages it lies in.
        ("__init__.py", '"""A package."""', "import sys\nsys.setrecursionlimit(99)"),
        ("__init__.py", '"""A package."""', "import torch\ntorch.backends.mkldnn.enabled = False"),
        ("__init__.py", '"""A package."""', "from .heavy import go\nif go():\n    pass"),
        ("sub/__init__.py", "", "print()"),
        ("sub/deep.py", "return START", "return START + 1"),
        ("base.py", "10", "11"),
        ("base.py", "10", "10.0"),
        ("base.py", "['a'] = 1", "['a'] = 2"),  # not bound to a name: it may do anything
    ],
)
def test_a_change_of_what_is_reached_alters(digest, change):
    assert digest(change) != digest()


@pytest.mark.parametrize(
    "change",
    [
        ("stages.py", '"""Two stages in one file."""', ""),
        ("stages.py", '"""The first."""', '"""The very first."""'),
        ("stages.py", '    """Help."""\n', ""),
        ("stages.py", "  # to the limit", ""),
        ("stages.py", "x + LIMIT", "(x +\n            LIMIT)"),
        ("stages.py", "from . import heavy, light", "from . import light\nfrom . import heavy"),
        ("stages.py", "LIMIT = 3", "LIMIT = 3\nif TYPE_CHECKING:\n    from .heavy import go"),
        ("stages.py", "OTHER = 4", "OTHER = 5"),
        ("stages.py", "heavy.go() + OTHER", "heavy.go() - OTHER"),
        ("heavy.py", "return 2", "return 3"),
        ("base.py", "UNUSED = 1", "UNUSED = 2"),
        ("base.py", "UNUSED = 1", "UNUSED = 1\n\n\ndef more():\n    pass"),
        ("__init__.py", "A package", "The package"),
        ("__init__.py", '"""A package."""', "from . import heavy\nVERSION = 2"),
        ("late.py", "'large'", "'too large'"),
        ("late.py", "{x} is", "given {x + 1},"),
        ("late.py", "'five'", "'5'"),
    ],
)
def test_words_layout_and_other_stages_do_not_alter(digest, change):
    assert digest(change) == digest()


def test_the_other_stage_sees_what_it_reaches(digest):
    two = (("pack.stages", "Two"),)
    for change in [
        ("heavy.py", "return 2", "return 3"),
        ("stages.py", "OTHER = 4", "OTHER = 5"),
        ("late.py", "return 0", "return 1"),  # by way of its base class
    ]:
        assert digest(change, names=two) != digest(names=two)


def test_the_class_of_a_value_counts(digest):
    change = ("values.py", "'Unit' = 1", "'Unit' = 2")
    held = (("pack.stages", "One"), ("pack.values", "Value"))
    assert digest(change) == digest()
    assert digest(change, names=held) != digest(names=held)
    other, unit = ("values.py", "size = 5", "size = 6"), ("values.py", "scale = 7", "scale = 8")
    assert digest(other, names=held) == digest(names=held)
    assert digest(unit, names=held) != digest(names=held)  # named in an annotation


def test_what_an_imported_package_runs_is_followed(digest):
    runs = ("__init__.py", '"""A package."""', "from .heavy import go\nif go():\n    pass")
    assert digest(runs, ("heavy.py", "return 2", "return 3")) != digest(runs)


def test_python_and_what_makes_images_and_prompts_into_numbers_count():
    found = library_versions()
    assert sys.version.startswith(f"{found['python']}.")
    assert {"torch", "numpy", "pillow", "tokenizers", "scipy", "scikit-learn"} <= found.keys()
    assert not {"safetensors", "accelerate"} & found.keys()


def test_of_a_marked_function_only_its_being_there_counts(digest):
    """Neither what stands in it, nor, where it is imported, all else that stands beside it."""
    marked = ("heavy.py", "def go", "import json\n\n\n@not_in_key\ndef go")
    named = ("stages.py", "return heavy.go()", "from .heavy import go\n\n        return go()")
    two = (("pack.stages", "Two"),)
    inside, beside = ("heavy.py", "return 2", "return 3"), ("heavy.py", "import json", "LOW = 3")
    for change in (inside, beside):
        assert digest(named, marked, change, names=two) == digest(named, marked, names=two)
    assert digest(named, inside, names=two) != digest(named, names=two)


def test_code_without_a_file_is_refused():
    with pytest.raises(ReglError, match="in no file"):
        code_digest(("__main__", "Stage"))


def test_an_edit_while_the_program_runs_is_told(tmp_path, monkeypatch):
    module = tmp_path / "edited_stages.py"
    module.write_text("class One:\n    size = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    names = (("edited_stages", "One"),)
    before = code_digest(*names)
    check_unchanged([names])
    module.write_text("class One:\n    size = 2\n")
    os.utime(module, (0, 0))
    assert code_digest(*names) == before
    with pytest.raises(ReglError, match="restart the kernel"):
        check_unchanged([names])


def test_own_package_is_found():
    here = Path(regl_core.engine.stage.__file__).parent
    assert (here / "digest.py").is_file()
    assert Draw(1).code == (("toy_stages", "Draw"),)
    assert Holder(Model()).code == (("toy_stages", "Holder"), ("toy_stages", "Model"))


def test_every_field_and_need_alters_the_key():
    values = [None, True, 1, 1.0, "1", (), (1,), ((1,),), (1, 1), Setting("a"), Setting("b")]
    values += [Model(), Model(rate=0.25), Draw(1), Draw(2), Holder(Setting("a"))]
    assert len({Holder(value).key for value in values}) == len(values)
    draws = [Draw(1), Draw(2), Draw(1, (Draw(2),)), Draw(1, (Draw(3),)), Draw(1, (Holder(1),))]
    assert len({stage.key for stage in draws}) == len(draws)


def test_equal_stages_have_equal_keys():
    assert Draw(1, (Draw(2),)).key == Draw(1, (Draw(2),)).key
    assert Holder(Model(rate=0.5)).key == Holder(Model()).key


def test_library_versions_alter_the_key(monkeypatch):
    before = Draw(1).key
    monkeypatch.setattr(regl_core.engine.stage, "library_versions", lambda: {"torch": "0"})
    assert Draw(1).key != before


@pytest.mark.parametrize("value", [[1], {"a": 1}, float("nan"), float("inf"), Path("a"), {1}])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(ReglError, match=r"Holder\.value"):
        _ = Holder(value).key


def test_what_a_notebook_imports_is_the_code_behind_it():
    source = (
        "import json\nfrom regl_core.report import provenance\nfrom regl_core.params import load\n"
    )
    names = ("regl_core.report.provenance", "*"), ("regl_core.params", "load")
    assert code_digest(program=source) == code_digest(*names) != code_digest(*names[1:])
