from types import SimpleNamespace

import matplotlib.pyplot as plt
from toy_results import METHODS, PAPERLIKE, results

from regl_core.report import accuracy_curves


def test_curves_show_each_method_in_each_panel():
    figure = accuracy_curves(PAPERLIKE)
    assert [axes.get_title() for axes in figure.axes] == ["digits, β = 0.01", "digits, β = 0.5"]
    for axes, fedavg in zip(figure.axes, (30.0, 50.0), strict=True):
        lines = {line.get_label(): line for line in axes.lines if line.get_label()[0] != "_"}
        assert list(lines) == list(METHODS)
        rounds, accuracy = lines["FedAvg"].get_data()
        assert rounds.tolist() == [1, 2, 3, 4]
        assert accuracy.tolist() == [fedavg / 2, fedavg - 1, fedavg, fedavg + 1]
        assert axes.get_xlabel() == "communication round"
        bars = axes.containers[0].lines[2][0].get_segments()
        assert len(axes.containers) == 3  # FedAvg, TF, FT
        ends = [bar[:, 1].tolist() for bar in bars]
        assert ends[0] == [(fedavg - 1) / 2, (fedavg + 1) / 2]
        assert ends[3] == [fedavg, fedavg + 2]
        places = [container.lines[2][0].get_segments()[0][0, 0] for container in axes.containers]
        assert len(set(places)) == 3  # none hides another
    assert figure.axes[0].get_ylabel() == "test accuracy (%)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(METHODS)
    assert plt.get_fignums() == []


def test_curves_of_references_alone():
    (axes,) = accuracy_curves(results({"Centralized": 90})).axes
    assert len(axes.lines) == 1


def test_seventeen_methods_look_different_in_grey():
    figure = accuracy_curves(results({f"method {n}": n for n in range(17)}, spread=(0.0,)))
    looks = {(line.get_marker(), str(line._dash_pattern)) for line in figure.axes[0].lines}
    assert len(looks) == 17


def test_in_a_long_run_only_marked_rounds_have_bars():
    long = [SimpleNamespace(run=it.run, accuracy=tuple(range(60))) for it in PAPERLIKE]
    for axes in accuracy_curves(long).axes:
        for bars in axes.containers:
            assert len(bars.lines[2][0].get_segments()) == 10


def test_a_baseline_is_drawn_without_bars():
    (axes, _) = accuracy_curves(results({"FedProx": 40, "mine": 50})).axes
    assert axes.containers == []
    grey, mine = axes.lines
    assert grey.get_linewidth() < mine.get_linewidth()
