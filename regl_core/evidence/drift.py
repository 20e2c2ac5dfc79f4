"""Where federations on a quadratic go, drawn."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ..report.drawing.palette import looks
from ..report.drawing.style import finished
from .quadratic import Quadratic


def paths(trajectories: Mapping[str, Tensor], problem: Quadratic) -> Figure:
    """Two panels: the global w in its plane, and its distance from the optimum over the rounds.

    trajectories: by method, (rounds + 1, 2), as `quadratic.trajectory` gives them.
    """
    figure, (plane, distance) = plt.subplots(1, 2, figsize=(9.5, 4.4), layout="constrained")
    optimum = problem.optimum().numpy()
    _bowl(plane, problem, np.vstack([path.numpy() for path in trajectories.values()]))
    for method, its in looks(list(trajectories), loud=True).items():
        look = {"color": its.colour, "linestyle": its.line, "label": method}
        w = trajectories[method].numpy()
        plane.plot(*w.T, **look, linewidth=1.2, alpha=0.9)
        plane.plot(*w[-1], marker=its.marker, color=its.colour, markersize=7)
        away = np.linalg.norm(w - optimum, axis=1)
        distance.semilogy(away, **look, marker=its.marker, markersize=5, markevery=len(away) // 6)
    plane.plot(*optimum, marker="*", color="black", markersize=14, linestyle="none")
    plane.annotate("optimum", optimum, xytext=(8, -14), textcoords="offset points")
    plane.set(xlabel="$w_1$", ylabel="$w_2$", title="the global w, round by round")
    distance.set(
        xlabel="communication round", ylabel="distance from the optimum", title="how near it comes"
    )
    distance.grid(alpha=0.3)
    handles, labels = distance.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, handlelength=3.5, frameon=False
    )
    return finished(figure)


def _bowl(axes: plt.Axes, problem: Quadratic, points: np.ndarray) -> None:
    """Contour lines of the objective around `points`, (n, 2)."""
    low, high = points.min(0), points.max(0)
    margin = 0.15 * (high - low) + 0.05
    x, y = np.meshgrid(
        *(np.linspace(a, b, 80) for a, b in zip(low - margin, high + margin, strict=True))
    )
    objective = np.zeros_like(x)
    for client, share in zip(problem.clients, problem.shares()[:, 0].tolist(), strict=True):
        h, b = client.curvature, client.optimum
        objective += share / 2 * (h[0] * (x - b[0]) ** 2 + h[1] * (y - b[1]) ** 2)
    axes.contour(x, y, np.sqrt(objective), levels=12, colors="0.8", linewidths=0.7)
