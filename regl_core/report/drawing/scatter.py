"""Features in the plane, by t-SNE: near each other there means near in feature space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .style import CLASSES, GREY, MARKERS, REAL, SYNTHETIC, legend_below, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plane(features: np.ndarray) -> np.ndarray:
    """Features (n, d) laid out in the plane, (n, 2); the same features give the same picture."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(features) - 1) / 3)
    return TSNE(init="pca", perplexity=perplexity, random_state=0, n_jobs=1).fit_transform(features)


def scatter_by_class(
    features: Mapping[str, tuple[np.ndarray, np.ndarray]],
    classes: Sequence[str],
    owned: Sequence[int],
) -> Figure:
    """A panel per title of features (n, d) with labels (n,); lacking classes filled (Fig. 4).

    Owned classes, of which the client has real images, are hollow; the legend says so.
    """
    figure, grid = panels(len(features), 4.6 * len(features), 4.9)
    for axes, (title, (points, labels)) in zip(grid, features.items(), strict=True):
        points = plane(points)
        for k, name in enumerate(classes):
            colour = CLASSES[k % len(CLASSES)]
            axes.scatter(
                *points[labels == k].T,
                s=24,
                marker=MARKERS[(k + k // len(CLASSES)) % len(MARKERS)],
                facecolors="none" if k in owned else colour,
                edgecolors=colour,
                linewidths=1.0,
                label=f"{name} (owned)" if k in owned else name,
            )
        _bare(axes, title)
    said = "filled: classes the client has no real image of; hollow: those it owns"
    legend_below(figure, grid[:1], ncols=min(6, len(classes)), title=said)
    return figure


def scatter_together(features: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Panels of real and synthetic features, (n, d) and (m, d), laid out together (Fig. 6).

    All panels share one layout: real images stand in the same place in each of them.
    """
    real, synthetic = zip(*features.values(), strict=True)
    ends = np.cumsum([len(real[0]), *map(len, synthetic)])
    points = plane(np.concatenate([real[0], *synthetic]))
    own, *drawn = np.split(points, ends[:-1])
    figure, grid = panels(len(features), 4.2 * len(features), 4.4)
    for axes, title, theirs in zip(grid, features, drawn, strict=True):
        axes.scatter(*points.T, s=0)  # the same limits in all panels
        axes.scatter(*own.T, s=14, color=REAL, marker="o", label="real", alpha=0.8)
        axes.scatter(*theirs.T, s=16, color=SYNTHETIC, marker="^", label="synthetic", alpha=0.8)
        _bare(axes, title)
    legend_below(figure, grid[:1], ncols=2)
    return figure


def _bare(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel("t-SNE 1", fontsize=8, color=GREY)
    axes.set_ylabel("t-SNE 2", fontsize=8, color=GREY)
