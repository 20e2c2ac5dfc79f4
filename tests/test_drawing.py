"""The paper's figures: panels, labelled axes, what is drawn, and that none is left open."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from toy_results import METHODS, PAPERLIKE, results

from regl_core import methods
from regl_core.params import load
from regl_core.report import (
    RUN,
    accuracy_bars,
    accuracy_by_volume,
    accuracy_curves,
    agreement,
    local_update,
    method_styles,
    ownership_maps,
    panels,
    recovery,
    scatter_by_class,
    scatter_together,
)
from regl_core.report.comparison import CONTROLS
from regl_core.report.drawing.clients import FEW
from regl_core.report.drawing.palette import BASELINES, FIXED
from regl_core.report.drawing.scatter import plane

TEN, HUNDRED = ([f"class {k}" for k in range(n)] for n in (10, 100))
of_any_size = pytest.mark.parametrize("names", [TEN, HUNDRED], ids=["10 classes", "100 classes"])
OURS = ("FedAvg", "ReGL (TF)", "ReGL (FT)")


def drawn(figure: Figure, titles: list[str]) -> list[plt.Axes]:
    """The panels of a figure that can be drawn and is not left open; their axes have labels."""
    assert plt.get_fignums() == []
    figure.canvas.draw()
    found = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in found] == titles
    assert all(axes.get_xlabel() for axes in found) and found[0].get_ylabel()
    return found


def heights(bars) -> list[float]:
    return [bar.get_height() for bar in bars]


def ends(container) -> list[list[float]]:
    """Lower and upper end of each bar of an error."""
    return [bar[:, 1].tolist() for bar in container.lines[2][0].get_segments()]


# Methods


@pytest.mark.parametrize("profile", ["smoke", "desk", "paper"])
@pytest.mark.parametrize("group", ["methods", "personal_methods"])
def test_no_two_methods_of_a_table_share_colour_and_dashes(profile, group):
    found = method_styles(list(getattr(load(profile), group))).values()
    assert len({(its["color"], str(its["linestyle"])) for its in found}) == len(found)


def test_a_style_hangs_on_the_name_alone_and_your_own_methods_stand_out():
    names, new = [*FIXED, *BASELINES], [f"method {n}" for n in range(17)]
    assert set(names) == set(methods.known()) - set(CONTROLS)  # which have no line
    assert method_styles(names) == method_styles(names[::-1])
    found = method_styles([*new, *names])
    assert {name for name, its in found.items() if its["linewidth"] == 1.0} == set(BASELINES)
    assert len({(its["marker"], str(its["linestyle"])) for its in map(found.get, new)}) == 17
    loud = method_styles(["FedAvg", "FedProx, μ = 1", "FedNova"], loud=True)
    assert loud["FedAvg"] == FIXED["FedAvg"]
    assert not any(its["linewidth"] == 1.0 for its in loud.values())


# Accuracies


def test_curves_show_each_method_in_each_panel():
    figure = accuracy_curves(PAPERLIKE)
    for axes, fedavg in zip(
        drawn(figure, ["digits, β = 0.01", "digits, β = 0.5"]), (30.0, 50.0), strict=True
    ):
        lines = {line.get_label(): line for line in axes.lines if line.get_label()[0] != "_"}
        assert list(lines) == list(METHODS)
        rounds, accuracy = lines["FedAvg"].get_data()
        assert rounds.tolist() == [1, 2, 3, 4]
        assert accuracy.tolist() == [fedavg / 2, fedavg - 1, fedavg, fedavg + 1]
        assert len(axes.containers) == 3  # FedAvg, TF, FT
        assert ends(axes.containers[0])[0] == [(fedavg - 1) / 2, (fedavg + 1) / 2]
        places = [container.lines[2][0].get_segments()[0][0, 0] for container in axes.containers]
        assert len(set(places)) == 3  # none hides another
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(METHODS)


def test_curves_of_references_alone_and_of_long_runs():
    (axes,) = accuracy_curves(results({"Centralized": 90})).axes
    assert len(axes.lines) == 1
    long = [SimpleNamespace(run=it.run, accuracy=tuple(range(60))) for it in PAPERLIKE]
    (axes, _) = accuracy_curves(long).axes
    assert [len(ends(bars)) for bars in axes.containers] == [10] * 3


def test_volume_is_a_panel_per_data_set_with_a_level_for_none():
    rows = [
        (dataset, f"images={images}", method, seed, base + 10 * (images > 5) + seed)
        for base, dataset in ((40.0, "digits"), (20.0, "mine"))
        for method in OURS[1:]
        for seed in range(3)
        for images in (15, 5)
    ]
    rows += [(d, "images=0", "FedAvg", s, 30.0 + s) for d in ("digits", "mine") for s in range(3)]
    frame = pd.DataFrame(rows, columns=[*RUN, "accuracy_pct"])
    figure = accuracy_by_volume(frame, "FedAvg", OURS[1:], "β = 0.5")
    found = drawn(figure, ["digits, β = 0.5", "mine, β = 0.5"])
    for axes, base, bottom in zip(found, (40.0, 20.0), (25, 15), strict=True):
        assert set(axes.lines[0].get_ydata()) == {31.0}  # the level
        none, free, tuned = axes.containers
        assert [part.tolist() for part in none.lines[0].get_data()] == [[0], [31]]
        for line in (free, tuned):
            assert line.lines[0].get_ydata().tolist() == [base + 1, base + 11]
            assert ends(line) == [[base, base + 2], [base + 10, base + 12]]
        places = [line.lines[0].get_xdata() for line in (free, tuned)]
        assert (places[0] < places[1]).all()  # side by side
        assert np.allclose(np.mean(places, axis=0), [5, 15])
        assert axes.get_ylabel() == f"test accuracy (%, from {bottom} up)"


def test_bars_are_means_with_the_range_of_the_seeds():
    bars = {
        "β = 0.01": {"FedAvg": [30.0, 20.0, 40.0], "ReGL (FT)": [70.0, 80.0, 90.0]},
        "IID": {"FedAvg": [80.0, 80.0, 80.0], "ReGL (FT)": [85.0, 87.0, 86.0]},
    }
    _, (axes,) = panels(1, 4, 3)
    accuracy_bars(axes, bars)
    fedavg, regl = (c for c in axes.containers if hasattr(c, "errorbar"))
    assert heights(fedavg) == [30, 80] and heights(regl) == [80, 86]
    for bar, other in zip(fedavg, regl, strict=True):
        assert bar.get_x() + bar.get_width() <= other.get_x() + 1e-9  # none hides another
    assert ends(regl.errorbar) == [[70, 90], [85, 87]]
    assert axes.get_xlabel() == "mean of 3 seeds; whiskers: worst and best"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(bars)


# Clients


@of_any_size
def test_ownership_is_a_heat_map_per_title(names):
    counts = [np.arange(n * len(names)).reshape(n, len(names)) for n in (5, 4)]
    owned = {"β = 0.01": counts[0], "β = 0.5": 2 * counts[1]}
    figure = ownership_maps(owned, names)
    one, other = drawn(figure, list(owned))
    for axes, count in zip((one, other), owned.values(), strict=True):
        (image,) = axes.images
        assert np.array_equal(image.get_array(), count)
        assert image.get_clim() == (0, 2 * (4 * len(names) - 1))  # one scale for all panels
    shown = {text.get_text() for text in other.texts}
    few = len(names) <= FEW
    assert shown == ({str(2 * n) for n in range(40)} if few else set())
    assert [tick.get_text() for tick in one.get_xticklabels()] == names or not few


def test_recovery_stacks_synthetic_on_real_images():
    real = list(range(10))
    _, (one, other) = panels(2, 8, 3)
    recovery(one, real, None, TEN)
    recovery(other, real, [7] * 10, TEN)
    assert one.get_ylabel() == "images" and heights(one.patches) == real
    assert heights(other.patches[:10]) == real
    assert [(bar.get_y(), bar.get_height()) for bar in other.patches[10:]] == [(n, 7) for n in real]
    assert [bars.get_label() for bars in other.containers] == ["real", "synthetic"]


def test_a_local_update_is_lines_of_accuracy_over_bars_of_images():
    rows = [
        (method, name, k, 15 * place, 50.0 + place, 60.0 + k / 10)
        for place, method in enumerate(OURS)
        for k, name in enumerate(TEN)
    ]
    columns = ["method", "class", "real", "synthetic", "before_pct", "after_pct"]
    mixed = pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=0)
    figure = local_update(mixed, OURS, TEN, "client 2")
    found = drawn(figure, [f"{method}, client 2" for method in OURS])
    for place, (axes, bars) in enumerate(zip(found, figure.axes[len(OURS) :], strict=True)):
        _, before, after = axes.lines
        assert set(before.get_ydata()) == {50.0 + place}
        assert after.get_ydata().tolist() == [60.0 + k / 10 for k in range(10)]
        zeros = [own.transData.transform((0, 0))[1] for own in (axes, bars)]
        assert zeros[0] == pytest.approx(zeros[1])
        assert heights(bars.patches) == [*range(10), *[15 * place] * 10]


# Features and images


def features(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)


@of_any_size
def test_features_by_class_are_hollow_where_owned(names):
    n, owned = 2 * len(names), [1, 3]
    points = features(0, n), np.arange(n) % len(names)
    (axes,) = drawn(scatter_by_class({"a": points}, names, owned), ["a"])
    assert [len(own.get_offsets()) for own in axes.collections] == [2] * len(names)
    hollow = [k for k, own in enumerate(axes.collections) if not len(own.get_facecolor())]
    said = [own.get_label() for own in axes.collections]
    assert hollow == owned == [k for k, name in enumerate(said) if name.endswith("(owned)")]
    looks = {(str(it.get_edgecolor()), str(it.get_paths()[0].vertices)) for it in axes.collections}
    assert len(looks) == len(names)  # no two classes look alike


def test_real_images_stand_in_the_same_place_in_every_panel():
    real = features(0, 20)
    figure = scatter_together({"TF": (real, features(1, 15) + 3), "FT": (real, features(2, 12))})
    one, other = drawn(figure, ["TF", "FT"])
    for axes, n in ((one, 15), (other, 12)):
        _, mine, theirs = axes.collections
        assert [len(part.get_offsets()) for part in (mine, theirs)] == [20, n]
        assert [mine.get_label(), theirs.get_label()] == ["real", "synthetic"]
    assert np.array_equal(one.collections[1].get_offsets(), other.collections[1].get_offsets())
    assert one.get_xlim() == other.get_xlim() and one.get_ylim() == other.get_ylim()
    assert np.array_equal(plane(real), plane(real)) and plane(features(0, 5)).shape == (5, 2)


def test_what_a_model_was_tuned_on_is_framed():
    rows = {"TF": [0.0, 50.0, 100.0], "FT": [10.0, 60.0, 90.0]}
    axes = agreement(rows, ["a", "b", "c"], {"FT": [0, 2]}).axes[0]
    assert [text.get_text() for text in axes.texts] == ["0", "50", "100", "10", "60", "90"]
    frames = [(round(f.get_x() + f.get_width() / 2), f.get_y() > 0.5) for f in axes.patches]
    assert frames == [(0, True), (2, True)]
