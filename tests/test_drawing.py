"""The paper's figures: panels, labelled axes, what is drawn, and that none is left open."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from regl_core.report.drawing import classes, image_grids, labels, scatter, volume
from regl_core.report.drawing.palette import FIXED
from regl_core.report.drawing.style import REAL, SYNTHETIC, finished

TEN, HUNDRED = ([f"class {k}" for k in range(n)] for n in (10, 100))
of_any_size = pytest.mark.parametrize("names", [TEN, HUNDRED], ids=["10 classes", "100 classes"])


def drawn(draw: Callable[[], Figure], panels: int) -> list[plt.Axes]:
    """The labelled panels of a figure that is drawn, can be saved, and is not left open."""
    before = plt.get_fignums()
    figure = draw()
    assert plt.get_fignums() == before
    figure.canvas.draw()
    found = [axes for axes in figure.axes if axes.get_title()]
    assert len(found) == panels
    for axes in found:
        assert axes.get_xlabel()
    assert found[0].get_ylabel()
    return found


def counts(clients: int, names: list[str]) -> np.ndarray:
    return np.arange(clients * len(names)).reshape(clients, len(names))


def test_a_finished_figure_is_closed():
    figure = plt.figure()
    assert finished(figure) is figure and not plt.fignum_exists(figure.number)


@of_any_size
def test_ownership_is_a_heat_map_per_title(names):
    panels = {"β = 0.01": counts(5, names), "β = 0.5": 2 * counts(4, names)}
    figure = labels.ownership_maps(panels, names)
    one, other = drawn(lambda: labels.ownership_maps(panels, names), 2)
    assert [axes.get_title() for axes in (one, other)] == list(panels)
    for axes, count in zip((one, other), panels.values(), strict=True):
        (image,) = axes.images
        assert np.array_equal(image.get_array(), count)
        assert image.get_clim() == (0, 2 * (4 * len(names) - 1))  # one scale for all panels
    assert one.get_ylabel() == "client"
    assert figure.axes[-1].get_ylabel() == "images"  # the bar of colours
    shown = {text.get_text() for text in other.texts}
    few = len(names) <= labels.FEW
    assert shown == ({str(2 * n) for n in range(40)} if few else set())
    assert [tick.get_text() for tick in one.get_xticklabels()] == names or not few


@of_any_size
def test_recovery_stacks_synthetic_on_real_images(names):
    real = list(range(len(names)))

    def draw() -> Figure:
        figure, (one, other) = plt.subplots(1, 2)
        labels.recovery(one, real, None, names)
        labels.recovery(other, real, [7] * len(names), names)
        one.set_title("(a)"), other.set_title("(b)")
        return finished(figure)

    before, after = drawn(draw, 2)
    assert before.get_ylabel() == after.get_ylabel() == "images"
    assert [bar.get_height() for bar in before.patches] == real
    own, more = after.patches[: len(names)], after.patches[len(names) :]
    assert [bar.get_height() for bar in own] == real
    assert [(bar.get_y(), bar.get_height()) for bar in more] == [(n, 7) for n in real]
    assert [bars.get_label() for bars in after.containers] == ["real", "synthetic"]


def test_accuracies_are_means_with_the_range_of_the_seeds():
    bars = {
        "β = 0.01": {"FedAvg": [30.0, 20.0, 40.0], "ReGL (FT)": [70.0, 80.0, 90.0]},
        "IID": {"FedAvg": [80.0, 80.0, 80.0], "ReGL (FT)": [85.0, 87.0, 86.0]},
    }
    figure, axes = plt.subplots()
    labels.accuracies(axes, bars)
    finished(figure)
    fedavg, regl = (c for c in axes.containers if hasattr(c, "errorbar"))
    assert [bar.get_height() for bar in fedavg] == [30, 80]
    assert [bar.get_height() for bar in regl] == [80, 86]
    for bar, other in zip(fedavg, regl, strict=True):
        assert bar.get_x() + bar.get_width() <= other.get_x() + 1e-9  # none hides another
    (reach,) = regl.errorbar.lines[2]
    assert [segment[:, 1].tolist() for segment in reach.get_segments()] == [[70, 90], [85, 87]]
    assert axes.get_ylabel() == "test accuracy (%)"
    assert axes.get_xlabel() == "mean of 3 seeds; whiskers: worst and best"
    colours = [to_hex(own[0].get_facecolor(), keep_alpha=False) for own in (fedavg, regl)]
    assert colours == [FIXED[name].colour.lower() for name in ("FedAvg", "ReGL (FT)")]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(bars)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["FedAvg", "ReGL (FT)"]


@of_any_size
def test_a_local_update_is_lines_of_accuracy_over_bars_of_images(names):
    methods = ("FedAvg", "ReGL (TF)", "ReGL (FT)")
    rows = [
        (method, name, k, 15 * place, 50.0 + place, 60.0 + k / 10)
        for place, method in enumerate(methods)
        for k, name in enumerate(names)
    ]
    columns = ["method", "class", "real", "synthetic", "before_pct", "after_pct"]
    frame = pd.DataFrame(rows, columns=columns)
    mixed = frame.sample(frac=1, random_state=0)
    panels = drawn(lambda: classes.local_update(mixed, methods, names, "client 2"), 3)
    assert [axes.get_title() for axes in panels] == [f"{method}, client 2" for method in methods]
    assert panels[0].get_ylabel() == "accuracy on the class (%)"
    for place, axes in enumerate(panels):
        _, before, after = axes.lines
        assert set(before.get_ydata()) == {50.0 + place}
        assert after.get_ydata().tolist() == [60.0 + k / 10 for k in range(len(names))]
        bars = next(
            other
            for other in axes.figure.axes
            if other is not axes and other.bbox.bounds == axes.bbox.bounds
        )
        zeros = [own.transData.transform((0, 0))[1] for own in (axes, bars)]
        assert zeros[0] == pytest.approx(zeros[1])
        assert len(bars.get_yticks()) == 0 or axes is panels[-1]  # inner ones would mislead
        heights = [bar.get_height() for bar in bars.patches]
        assert heights == [*range(len(names)), *[15 * place] * len(names)]
    assert any(axes.get_ylabel() == "images" for axes in panels[0].figure.axes)
    (legend,) = panels[0].figure.legends
    assert len(legend.get_texts()) == 4


def features(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)


@of_any_size
def test_features_by_class_are_hollow_where_owned(names):
    n = 2 * len(names)
    panels = {t: (features(seed, n), np.arange(n) % len(names)) for seed, t in enumerate("ab")}
    owned = [1, 3]
    for axes in drawn(lambda: scatter.scatter_by_class(panels, names, owned), 2):
        assert len(axes.collections) == len(names)
        assert sum(len(points.get_offsets()) for points in axes.collections) == n
        hollow = [k for k, points in enumerate(axes.collections) if not len(points.get_facecolor())]
        assert hollow == owned
        said = [points.get_label() for points in axes.collections]
        assert [k for k, name in enumerate(said) if name.endswith("(owned)")] == owned
        looks = {
            (str(points.get_edgecolor()), str(points.get_paths()[0].vertices))
            for points in axes.collections
        }
        assert len(looks) == len(names)  # no two classes look alike
    title = axes.figure.legends[0].get_title().get_text()
    assert "filled: classes the client has no real image of" in title and "hollow" in title


def test_the_same_features_give_the_same_picture():
    assert np.array_equal(scatter.plane(features(0, 20)), scatter.plane(features(0, 20)))
    assert scatter.plane(features(0, 5)).shape == (5, 2)


def test_real_images_stand_in_the_same_place_in_every_panel():
    real = features(0, 20)
    panels = {"TF": (real, features(1, 15) + 3), "FT": (real, features(2, 12))}
    one, other = drawn(lambda: scatter.scatter_together(panels), 2)
    for axes, n in ((one, 15), (other, 12)):
        _, mine, theirs = axes.collections
        assert [len(part.get_offsets()) for part in (mine, theirs)] == [20, n]
        assert [mine.get_label(), theirs.get_label()] == ["real", "synthetic"]
    assert np.array_equal(one.collections[1].get_offsets(), other.collections[1].get_offsets())
    assert one.get_xlim() == other.get_xlim() and one.get_ylim() == other.get_ylim()


def test_volume_is_a_panel_per_data_set_with_a_level_for_none():
    rows = [
        (dataset, method, seed, images, base + 10 * (images > 5) + seed)
        for base, dataset in ((40.0, "digits"), (20.0, "mine"))
        for method in ("ReGL (TF)", "ReGL (FT)")
        for seed in range(3)
        for images in (15, 5)
    ]
    rows += [(d, "FedAvg", s, 0, 30.0 + s) for d in ("digits", "mine") for s in range(3)]
    frame = pd.DataFrame(rows, columns=["dataset", "method", "seed", "images", "accuracy_pct"])
    drawn_by = ("ReGL (TF)", "ReGL (FT)")
    panels = drawn(lambda: volume.accuracy_by_volume(frame, "FedAvg", drawn_by, "β = 0.5"), 2)
    assert [axes.get_title() for axes in panels] == ["digits, β = 0.5", "mine, β = 0.5"]
    for axes, base, bottom in zip(panels, (40.0, 20.0), (25, 15), strict=True):
        assert set(axes.lines[0].get_ydata()) == {31.0}  # the level
        none, free, tuned = axes.containers
        assert none.lines[0].get_data()[0].tolist() == [0]
        assert none.lines[0].get_data()[1].tolist() == [31]
        for line in (free, tuned):
            assert line.lines[0].get_ydata().tolist() == [base + 1, base + 11]
            ends = [bar[:, 1].tolist() for bar in line.lines[2][0].get_segments()]
            assert ends == [[base, base + 2], [base + 10, base + 12]]
        places = [line.lines[0].get_xdata() for line in (free, tuned)]
        assert (places[0] < places[1]).all()  # side by side
        assert np.allclose(np.mean(places, axis=0), [5, 15])
        assert axes.get_ylabel() == f"test accuracy (%, from {bottom} up)"
        assert axes.get_ylim()[0] == bottom
        assert axes.get_xticks().tolist() == [0, 5, 15]
    legend = panels[0].get_legend()
    assert legend.get_title().get_text() == "mean, worst and best of 3 seeds"


def test_what_a_model_was_tuned_on_is_framed_so_that_it_is_seen_on_any_colour():
    rows = {"TF": [0.0, 50.0, 100.0], "FT": [10.0, 60.0, 90.0]}
    figure = image_grids.agreement(rows, ["a", "b", "c"], {"FT": [0, 2]})
    axes = figure.axes[0]
    frames = [(round(f.get_x() + f.get_width() / 2), f.get_y() > 0.5) for f in axes.patches]
    assert frames == [(0, True), (2, True)]
    for frame in axes.patches:
        (effect,) = [e for e in frame.get_path_effects() if isinstance(e, withStroke)]
        around = effect._gc["foreground"], effect._gc["linewidth"] > frame.get_linewidth()
        assert to_hex(frame.get_edgecolor()) == "#ffffff" and around == ("black", True)


def test_real_and_synthetic_differ_in_lightness_too():
    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    assert abs(lightness(REAL) - lightness(SYNTHETIC)) > 40
