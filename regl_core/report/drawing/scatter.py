"""Features in the plane, by t-SNE: near each other there means near in feature space."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from .style import CLASSES, GREY, MARKERS, REAL, SYNTHETIC, finished


def plane(features: np.ndarray) -> np.ndarray:
    """Features (n, d) laid out in the plane, (n, 2); the same features give the same picture."""
    perplexity = min(30.0, (len(features) - 1) / 3)
    return TSNE(init="pca", perplexity=perplexity, random_state=0, n_jobs=1).fit_transform(features)


def by_class(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]],
    classes: Sequence[str],
    owned: Sequence[int],
) -> Figure:
    """A panel per title of features (n, d) with labels (n,); lacking classes filled (Fig. 4).

    Owned classes, of which the client has real images, are hollow; the legend says so.
    """
    figure, grid = plt.subplots(
        1, len(panels), figsize=(4.6 * len(panels), 4.9), squeeze=False, layout="constrained"
    )
    for axes, (title, (features, labels)) in zip(grid.flat, panels.items(), strict=True):
        points = plane(features)
        for k, name in enumerate(classes):
            own, colour = labels == k, CLASSES[k % len(CLASSES)]
            marker = MARKERS[(k + k // len(CLASSES)) % len(MARKERS)]
            axes.scatter(
                *points[own].T,
                s=24,
                marker=marker,
                facecolors="none" if k in owned else colour,
                edgecolors=colour,
                linewidths=1.0,
                label=f"{name} (owned)" if k in owned else name,
            )
        _bare(axes, title)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(6, len(names)),
        frameon=False,
        title="filled: classes the client has no real image of; hollow: those it owns",
    )
    return finished(figure)


def together(panels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Panels of real and synthetic features, (n, d) and (m, d), laid out together (Fig. 6).

    All panels share one layout: real images stand in the same place in each of them.
    """
    parts = [part for pair in panels.values() for part in pair]
    real = parts[0]
    everything = np.concatenate([real, *parts[1::2]])
    points = plane(everything)
    figure, grid = plt.subplots(
        1, len(panels), figsize=(4.2 * len(panels), 4.4), squeeze=False, layout="constrained"
    )
    begin = len(real)
    for axes, (title, (_, synthetic)) in zip(grid.flat, panels.items(), strict=True):
        own = points[begin : begin + len(synthetic)]
        begin += len(synthetic)
        axes.scatter(*points.T, s=0)  # the same limits in all panels
        axes.scatter(*points[: len(real)].T, s=14, color=REAL, marker="o", label="real", alpha=0.8)
        axes.scatter(*own.T, s=16, color=SYNTHETIC, marker="^", label="synthetic", alpha=0.8)
        _bare(axes, title)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    return finished(figure)


def _bare(axes: plt.Axes, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel("t-SNE 1", fontsize=8, color=GREY)
    axes.set_ylabel("t-SNE 2", fontsize=8, color=GREY)
