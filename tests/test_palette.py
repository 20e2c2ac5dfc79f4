"""What a method looks like: the same everywhere, and unlike the others to any eyes."""

from itertools import combinations

import matplotlib.pyplot as plt
import pytest
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path
from toy_colours import EYES, contrast, distance

from regl_core import methods
from regl_core.params import load
from regl_core.report.drawing.palette import BASELINES, FIXED, RANGES, method_styles
from regl_core.report.drawing.style import CLASSES, MARKERS, REAL, SYNTHETIC, ink

eyes = pytest.mark.parametrize("eyes", EYES)
NEW = [f"method {n}" for n in range(17)]


def colour_and_dashes(look) -> tuple[str, str]:
    return look.colour, str(look.line)


@pytest.mark.parametrize("profile", ["smoke", "desk", "paper"])
@pytest.mark.parametrize("group", ["methods", "personal_methods"])
def test_no_two_methods_of_a_table_share_colour_and_dashes(profile, group):
    found = method_styles(list(getattr(load(profile), group))).values()
    assert len({colour_and_dashes(look) for look in found}) == len(found)


@eyes
def test_what_is_to_be_found_at_a_glance_is_far_from_all_else(eyes):
    found = method_styles([*FIXED, *BASELINES])
    assert set(RANGES) < set(FIXED)
    for name in FIXED:
        assert not found[name].thin
        for other in found.keys() - {name}:
            assert distance(found[name].colour, found[other].colour, eyes) > 30


def test_every_method_but_the_fixed_ones_is_thin_and_none_is_forgotten():
    assert set(FIXED) | set(BASELINES) == set(methods.known())
    assert all(look.thin for look in method_styles(BASELINES).values())


def test_a_look_hangs_on_the_name_alone():
    names = [*FIXED, *BASELINES]
    assert method_styles(names) == method_styles(names[::-1])
    assert method_styles([*NEW[:1], "FedAvg"])["FedAvg"] == method_styles(["FedAvg"])["FedAvg"]


def test_a_method_of_your_own_is_in_colour():
    found = method_styles([*FIXED, *BASELINES, *NEW])
    known = {colour_and_dashes(found[name]) for name in (*FIXED, *BASELINES)}
    for name in NEW:
        assert not found[name].thin and colour_and_dashes(found[name]) not in known
    assert len({(found[name].marker, str(found[name].line)) for name in NEW}) == 17  # in grey, too


def test_where_baselines_are_the_subject_they_are_in_colour():
    found = method_styles(["FedAvg", "FedProx, μ = 1", "FedNova", "SCAFFOLD"], loud=True)
    assert found["FedAvg"] == FIXED["FedAvg"]
    assert not any(look.thin for look in found.values())
    assert len({look.colour for look in found.values()}) == 4
    assert len({str(look.line) for look in found.values()}) == 4  # they can cover each other
    assert len({look.marker for look in found.values()}) == 4


def test_no_method_has_the_colour_of_real_or_synthetic_images():
    assert not {look.colour for look in FIXED.values()} & {REAL, SYNTHETIC}


@eyes
def test_the_colours_of_classes_are_told_apart(eyes):
    assert all(distance(*pair, eyes) > 17 for pair in combinations(CLASSES, 2))


@pytest.mark.parametrize("marker", MARKERS)
def test_a_hollow_marker_is_seen_to_be_hollow(marker):
    style = MarkerStyle(marker)
    shape: Path = style.get_path().transformed(style.get_transform())
    (x, y), ring = shape.to_polygons()[0].T, shape.to_polygons()[0]
    area = abs(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2
    around = sum(((ring[1:] - ring[:-1]) ** 2).sum(1) ** 0.5)
    assert 2 * area / around > 0.3  # the radius of the hole, of a marker 1 wide; a star's is 0.15


@pytest.mark.parametrize("step", range(0, 256, 5))
def test_numbers_on_a_heat_map_can_be_read(step):
    colour = plt.get_cmap("cividis")(step)[:3]
    assert contrast(ink(colour), colour) > 4.5
