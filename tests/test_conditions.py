"""The multi-modal condition: prompts without leaks, features of classes a client lacks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regl_core import conditions
from regl_core.evidence import probes

NAMES = ("green apple", "apple", "fig", "bell pepper")


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a green apple on a table", "a on a table"),
        ("two apples, red, on a plate", "two, red, on a plate"),
        ("Figs and a bell-pepper", "and a"),
        ("a figurine beside a pepper", "a figurine beside a pepper"),
        ("apple", ""),
        ("", ""),
    ],
)
def test_captions_never_name_a_class(caption: str, expected: str) -> None:
    assert conditions.without_classes(caption, NAMES) == expected


@given(st.lists(st.sampled_from([*NAMES, "red", "on", "a", "table", ","]), max_size=8))
def test_no_class_name_is_left_in_any_caption(words: list[str]) -> None:
    left = conditions.without_classes(" ".join(words), NAMES)
    assert not set(NAMES) & set(left.replace(",", " ").split())
    assert "bell pepper" not in left


def test_prompts_are_those_of_the_paper() -> None:
    template = "A photo of {class}, real world images, high resolution"
    expected = "A photo of fig, real world images, high resolution"
    assert conditions.vanilla_prompt(template, "fig") == expected
    assert conditions.multimodal_prompt("fig", "on a plate") == "A photo of fig, on a plate"
    assert conditions.multimodal_prompt("fig", "") == "A photo of fig"


def _features(missing: str) -> conditions.ClassFeatures:
    """Two owned classes of three, in the plane."""
    real = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    vanilla = torch.tensor([[0.5, 0.0], [0.0, 0.0], [0.0, 3.0]])
    return conditions.ClassFeatures.of(real, torch.tensor([0, 0, 1]), vanilla, missing)


def test_class_features_by_hand() -> None:
    shifted = _features("shifted")
    # Means (0.5, 0.5) and (1, 0); shifts (0, 0.5) and (1, 0), on average (0.5, 0.25).
    assert torch.allclose(shifted.means, torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.5, 3.25]]))
    expected = torch.tensor([[0.5, -0.5], [-0.5, 0.5], [0.0, 0.0]])
    assert torch.allclose(shifted.spread, expected)
    zeros = _features("zeros")
    assert torch.equal(zeros.means[:2], shifted.means[:2])
    assert not zeros.means[2].any()


def test_drawn_features_are_means_of_own_images() -> None:
    features = _features("shifted")
    of_class = torch.tensor([0, 0, 0, 0, 1, 2])
    drawn = features.draw(of_class, 1, torch.Generator().manual_seed(0))
    assert torch.allclose(drawn.norm(dim=1), torch.ones(6))
    # With one image selected, a class's feature is that image's; class 1 has but one.
    for row in drawn[:4]:
        assert torch.allclose(row.sort().values, torch.tensor([0.0, 1.0]))
    assert torch.allclose(drawn[4], torch.tensor([1.0, 0.0]))
    many = features.draw(of_class, 5000, torch.Generator().manual_seed(0))
    means = torch.nn.functional.normalize(features.means, dim=1)
    assert torch.allclose(many, means[of_class], atol=0.03)
    assert torch.equal(drawn, features.draw(of_class, 1, torch.Generator().manual_seed(0)))


def test_a_class_without_a_feature_has_a_zero_token() -> None:
    drawn = _features("zeros").draw(torch.tensor([2, 0]), 3, torch.Generator().manual_seed(0))
    assert not drawn[0].any()
    assert drawn[1].any()


def test_spread_is_the_mean_over_pairs(monkeypatch):
    units = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    monkeypatch.setattr(conditions, "features", lambda foundation, images, checkpoint: units)
    images = torch.zeros(2, 3, 3, 8, 8, dtype=torch.uint8)
    pairs = [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]
    expected = sum(1 - float(units[a] @ units[b]) for a, b in pairs) / len(pairs)
    assert probes.spread(None, images) == pytest.approx(expected, abs=1e-6)
    units[:] = units[0]
    assert probes.spread(None, images) == pytest.approx(0, abs=1e-6)
