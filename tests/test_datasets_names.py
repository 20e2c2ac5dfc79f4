"""Names of classes fit into a prompt, and lists are those of the paper's sources."""

from pathlib import Path

import pytest
from toy_datasets import FRUIT, loader

from regl_core.datasets.eurosat import _words as split_words
from regl_core.datasets.imagenet import LISTS
from regl_core.datasets.listing import words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("001.Black_footed_Albatross", "Black footed Albatross"),
        ("200.Common_Yellowthroat", "Common Yellowthroat"),
        ("17-red_fox", "red fox"),
        ("042_otter", "otter"),
        ("747", "747"),
        ("4x4 truck", "4x4 truck"),
        ("sea  horse", "sea horse"),
    ],
)
def test_names_of_folders_become_words(name, expected):
    assert words(name) == expected


def test_capitals_become_words():
    assert split_words("HerbaceousVegetation") == "herbaceous vegetation"
    assert split_words("Forest") == "forest"


def rows(name: str) -> dict[str, list[str]]:
    lines = (LISTS / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    fields = [line.split("\t") for line in lines if not line.startswith("#")]
    return {row[0]: row[1:] for row in fields}


def names(name: str, which: str | None = None) -> dict[str, str]:
    return loader(name, Path("/nowhere"), class_list=which).classes()


def test_imagefruit_has_its_order_and_its_fruits():
    found = names("imagefruit")
    assert list(found) == FRUIT
    fruits = "pineapple, banana, strawberry, orange fruit, lemon, pomegranate, fig fruit"
    assert ", ".join(found.values()) == f"{fruits}, bell pepper, cucumber, Granny Smith apple"


@pytest.mark.parametrize(
    ("synset", "expected"),
    [
        ("n02012849", "crane bird"),
        ("n01847000", "drake duck"),
        ("n01608432", "kite bird of prey"),
        ("n02231487", "stick insect"),  # its usual name: walking stick
        ("n02108089", "boxer dog"),
        ("n03947888", "pirate ship"),
        ("n04517823", "vacuum cleaner"),
        ("n03584829", "smoothing iron"),
        ("n02114855", "coyote"),
        ("n01944390", "snail"),
    ],
)
def test_ambiguous_names_are_made_clear_and_others_left(synset, expected):
    both = names("imagenet100", "cmc") | names("imagenet100", "fgl")
    assert both[synset] == expected


@pytest.mark.parametrize("which", ["cmc", "fgl"])
def test_names_of_a_list_are_distinct_and_plain(which):
    found = names("imagenet100", which)
    assert len(set(found.values())) == 100
    assert all(name.strip() == name and name.isprintable() and name for name in found.values())
    assert not [name for name in found.values() if any(sign in name for sign in '_,:;()\t"')]


def test_what_makes_a_name_clear_comes_with_its_reason_and_is_used():
    listed = rows("imagefruit") | rows("imagenet100_cmc") | rows("imagenet100_fgl")
    clear = rows("imagenet_prompts")
    assert clear.keys() <= listed.keys()
    for synset, (name, why) in clear.items():
        usual, full = listed[synset][1:3]
        known = {word.casefold() for word in f"{usual} {full}".replace(",", " ").split()}
        assert name != usual and len(why) > 5
        # It says the usual name with a word more, or another name of the full label.
        assert usual.split()[0].casefold() in why.casefold()
        assert known & {word.casefold() for word in name.split()}
