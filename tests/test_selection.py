"""Choosing data sets and seeds, by a change of settings and on the command line."""

import pytest

from regl_core import params
from regl_core.errors import ReglError
from regl_core.params import load
from regl_core.press import main

PAPER = load("paper")


def test_selected_data_sets_stand_alone_in_the_order_of_the_profile():
    found = load("paper", {"datasets": ["eurosat", "imagefruit"]})
    assert list(found.datasets) == ["imagefruit", "eurosat"]
    for name, its in found.datasets.items():
        assert its == PAPER.datasets[name]
    assert found.ablations.datasets == ("imagefruit",)
    assert found.methods == PAPER.methods and found.seeds == PAPER.seeds


def test_ablations_take_what_is_selected_where_none_of_theirs_is():
    assert load("paper", {"datasets": ["eurosat"]}).ablations.datasets == ("eurosat",)
    found = load("paper", {"datasets": ["imagenet100", "cub"]})
    assert found.ablations.datasets == ("imagenet100",)
    every = load("paper", {"datasets": list(PAPER.datasets)})
    assert every == PAPER


def test_an_image_folder_is_selected_by_its_path():
    found = load("paper", {"datasets": ["cub", "folder:/my/photos.v2"], "folder.clients": 7})
    its = found.datasets["folder:/my/photos.v2"]
    assert list(found.datasets) == ["cub", "folder:/my/photos.v2"]
    assert its.root == "/my/photos.v2" and its.clients == 7 and its.published is None
    assert its == found.folder.model_copy(update={"root": "/my/photos.v2"})
    assert found.ablations.datasets == ("cub", "folder:/my/photos.v2")


def test_settings_of_a_data_set_whose_name_has_dots_can_be_altered():
    chosen = load("paper", {"datasets": ["folder:/my/photos.v2"]})
    other = chosen.altered({"datasets.folder:/my/photos.v2.clients": 3})
    assert other.datasets["folder:/my/photos.v2"].clients == 3
    assert chosen.for_ablations().datasets["folder:/my/photos.v2"].validation_share == 0.1
    assert chosen.altered({"datasets": ["folder:/my/photos.v2"]}) == chosen


def test_other_changes_go_first():
    changes = {"datasets": ["cub"], "datasets.cub.clients": 3, "datasets.cars.clients": 4}
    assert load("paper", changes).datasets["cub"].clients == 3
    assert load("paper", dict(reversed(changes.items()))) == load("paper", changes)
    assert list(PAPER.altered(changes).datasets) == ["cub"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["eurosta"], ["data set 'eurosta' is unknown (did you mean eurosat?)", "folder:/path"]),
        (["cub", "bird", "card"], ["2 problems", "'bird'", "'card' is unknown (did you mean cars"]),
        ([], ["given no name"]),
        (["cub", "cub"], ["'cub' stands there twice"]),
        (["folder:"], ["'folder:' is unknown"]),
        (["folder"], ["'folder' is unknown"]),
        ([3, None, ["cub"], {}], ["4 problems", "data set 3 is unknown", "['cub'] is unknown"]),
    ],
)
def test_wrong_names_are_one_error(names, words):
    for attempt in (lambda: load("paper", {"datasets": names}), lambda: altered(names)):
        with pytest.raises(ReglError) as caught:
            attempt()
        assert all(word in str(caught.value) for word in words), caught.value


def altered(names):
    return PAPER.altered({"datasets": names})


def test_a_profile_without_the_group_says_so(tmp_path):
    text = (params.ROOT / "params/desk.yaml").read_text()
    start, end = text.index("\nfolder:"), text.index("\nbetas:")
    (tmp_path / "desk.yaml").write_text(text[:start] + text[end:])
    assert load("desk", {}, tmp_path).folder is None
    with pytest.raises(ReglError, match="folder:/x: the profile has no group folder"):
        load("desk", {"datasets": ["folder:/x"]}, tmp_path)


def checked(capsys, *arguments: str) -> list[str]:
    assert main(["check", "--profile", "paper", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_command_line_selects(capsys):
    more = ["--datasets", "eurosat", "folder:/x y", "--seeds", "3", "5", "--set", "lora.rank=2"]
    lines = checked(capsys, *more)
    assert {"seeds = (3, 5)", "lora.rank = 2", "datasets.eurosat.clients = 5"} <= set(lines)
    assert "datasets.folder:/x y.root = /x y" in lines
    assert not [line for line in lines if line.startswith("datasets.cub")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--datasets", "eurosta"], "did you mean eurosat?"),
        (["--seeds", "one"], "seeds.0: given 'one', expected a valid integer"),
        (["--seeds", "-1"], "seeds.0: given -1, expected greater than or equal to 0"),
        (["--seeds", "0", "--set", "seeds=[1]"], "seeds is set twice"),
        (["--datasets", "cub", "--set", "datasets=[cub]"], "datasets is set twice"),
    ],
)
def test_a_wrong_choice_has_status_2(arguments, words, capsys):
    assert main(["check", "--profile", "paper", *arguments]) == 2
    assert words in capsys.readouterr().err
