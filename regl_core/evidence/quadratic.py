"""A federation whose answer is known: clients with quadratic losses.

Client i has f_i(w) = ½ Σ h_i (w − b_i)², summed over the coordinates of w. Where it ends when
run by `federate` follows from h_i, b_i, n_i and K_i alone, so that a method can be told right
from wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ..clients import ClientData
from ..federation import FederationState, federate
from ..methods import Method
from ..params import TrainingSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLAIN_SGD = {
    "schedule": "constant",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "client_fraction": 1.0,
    "report_rounds": 1,
    "augmentation": "none",
    "precision": "float32",
    "device": "cpu",
}


class Bowl(nn.Module):
    """A network whose cross-entropy is ½ Σ h (w − b)² + 1.

    The `image` holds h and b, as (2, coordinates); its label is 0. The network gives class 0
    the probability e^(−loss), so that a method written for classifiers runs as it is. The 1
    keeps this probability below one, without any effect on gradients.
    """

    def __init__(self, start: Sequence[float]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        h, b = images.unbind(1)
        loss = (h * (self.w - b).square()).sum(1) / 2 + 1
        return torch.stack([-loss, torch.log1p(-torch.exp(-loss))], 1)


@dataclass(frozen=True)
class Client:
    """One client: `curvature` h and `optimum` b by coordinate, in `count` images, all the same."""

    curvature: tuple[float, ...]
    optimum: tuple[float, ...]
    count: int = 1

    def data(self) -> ClientData:
        image = torch.tensor([self.curvature, self.optimum], dtype=torch.float64)
        return ClientData(
            image.repeat(self.count, 1, 1), torch.zeros(self.count, dtype=torch.int64)
        )


@dataclass(frozen=True)
class Quadratic:
    """Clients, the first global w, and plain SGD of `epochs` over batches of `batch_size`.

    One step brings client i nearer to b_i by the factor 1 − η h_i, all its K_i steps by
    1 − s_i with s_i = 1 − (1 − η h_i)^K_i. A rule x ← x + Σ ω_i (y_i − x) therefore ends at
    Σ ω_i s_i b_i / Σ ω_i s_i.
    """

    clients: tuple[Client, ...]
    start: tuple[float, ...]
    rate: float
    epochs: int
    batch_size: int = 1

    def steps(self) -> Tensor:
        """K_i, as (clients, 1)."""
        counts = [self.epochs * ceil(client.count / self.batch_size) for client in self.clients]
        return torch.tensor(counts, dtype=torch.float64)[:, None]

    def shares(self) -> Tensor:
        """p_i, as (clients, 1)."""
        counts = torch.tensor([client.count for client in self.clients], dtype=torch.float64)
        return (counts / counts.sum())[:, None]

    def optimum(self) -> Tensor:
        """Where Σ p_i f_i is least: Σ p_i h_i b_i / Σ p_i h_i."""
        return self._balance(self.shares() * self._h())

    def uniform_optimum(self) -> Tensor:
        """Where (1/N) Σ f_i is least, SCAFFOLD's objective."""
        return self._balance(self._h())

    def fedavg_limit(self, mu: float = 0.0) -> Tensor:
        """Where FedAvg ends, ω_i = p_i, or FedProx.

        FedProx's steps near (h_i b_i + μ x)/(h_i + μ) by the factor 1 − η(h_i + μ), so that
        s_i = [1 − (1 − η(h_i + μ))^K_i] h_i/(h_i + μ).
        """
        return self._balance(self.shares() * self._reach(mu))

    def fednova_limit(self) -> Tensor:
        """Where FedNova ends, ω_i = τ p_i/K_i.

        It is the optimum, whatever the b_i are, exactly where s_i/(K_i h_i) is the same for all
        clients. As s_i = K_i h_i η + O(η²), this always holds in the limit of small rates: the
        distance to the optimum shrinks like η, while FedAvg's tends to that of the objective
        Σ p_i K_i f_i. It also holds for equal K_i and h_i, where FedAvg is right, too.
        """
        return self._balance(self.shares() * self._reach() / self.steps())

    def _h(self) -> Tensor:
        return torch.tensor([client.curvature for client in self.clients], dtype=torch.float64)

    def _reach(self, mu: float = 0.0) -> Tensor:
        """s_i, as (clients, coordinates)."""
        h = self._h()
        return (1 - (1 - self.rate * (h + mu)) ** self.steps()) * h / (h + mu)

    def _balance(self, pull: Tensor) -> Tensor:
        """The mean of the b_i with weights proportional to `pull`, by coordinate."""
        b = torch.tensor([client.optimum for client in self.clients], dtype=torch.float64)
        return (pull * b).sum(0) / pull.sum(0)


# Two clients that disagree on where the bottom is and on how steep the way there is.
CURVATURES = Quadratic(
    clients=(Client((1.0, 4.0), (0.0, 1.0)), Client((10.0, 1.0), (1.0, 0.0))),
    start=(3.0, 2.0),
    rate=0.05,
    epochs=5,
)

# Two clients of one curvature, the second of which has four times the images and so the steps.
STEPS = Quadratic(
    clients=(Client((1.0, 1.0), (0.0, 1.0), count=1), Client((1.0, 1.0), (1.0, 0.0), count=4)),
    start=(3.0, 2.0),
    rate=0.01,
    epochs=1,
)


def trajectory(method: Method, problem: Quadratic, rounds: int, **changes: Any) -> Tensor:
    """The global w before the first round and after each, as (rounds + 1, coordinates).

    changes : to the training settings, such as momentum.
    """
    training = TrainingSettings(
        model="quadratic",
        width=1,
        rounds=rounds,
        local_epochs=problem.epochs,
        batch_size=problem.batch_size,
        rate=problem.rate,
        **PLAIN_SGD | changes,
    )
    data = [client.data() for client in problem.clients]
    net = Bowl(problem.start)
    path = [net.w.detach()]

    def after_round(state: FederationState) -> None:
        path.append(state.server.weights.params["w"])

    federate(method, net, data, data[0], training, seed=0, after_round=after_round)
    return torch.stack(path)


LIMITS: Mapping[str, Callable[[Quadratic, Method], Tensor]] = {
    "FedAvg": lambda problem, method: problem.fedavg_limit(),
    "FedProx": lambda problem, method: problem.fedavg_limit(method.mu),
    "FedOpt": lambda problem, method: problem.fedavg_limit(),  # where Σ p_i (y_i − x) is zero
    "FedNova": lambda problem, method: problem.fednova_limit(),
    "SCAFFOLD": lambda problem, method: problem.uniform_optimum(),
}


def limits(methods: Mapping[str, Method], rounds: int) -> pd.DataFrame:
    """Where methods end on both problems, and where they should.

    methods: of the kinds in LIMITS, by title. A row per problem and method: distance from the
    optimum of Σ p_i f_i, and from the closed form of this kind; `rounds` must suffice to settle.
    """
    rows = []
    for name, problem in (("steepness differs", CURVATURES), ("numbers of steps differ", STEPS)):
        for title, method in methods.items():
            end = trajectory(method, problem, rounds)[-1]
            rows.append(
                {
                    "problem": name,
                    "method": title,
                    "from the optimum": float((end - problem.optimum()).norm()),
                    "from its formula": float((end - LIMITS[method.name](problem, method)).norm()),
                }
            )
    return pd.DataFrame(rows)


def paths(methods: Mapping[str, Method], problem: Quadratic, rounds: int) -> "Figure":
    """Two panels: the global w in its plane, and its distance from the optimum over the rounds.

    methods: by title. problem: of two coordinates.
    """
    from ..report import method_styles, panels

    ways = {title: trajectory(it, problem, rounds).numpy() for title, it in methods.items()}
    figure, (plane, distance) = panels(2, 9.5, 4.4)
    optimum = problem.optimum().numpy()
    _contours(plane, problem, np.vstack(list(ways.values())))
    for title, its in method_styles(list(methods), loud=True).items():
        w, bare = ways[title], {"linewidth": 1.2, "alpha": 0.9, "marker": "", "zorder": 2}
        away = np.linalg.norm(w - optimum, axis=1)
        plane.plot(*w.T, label=title, **its | bare)
        plane.plot(*w[-1], marker=its["marker"], color=its["color"], markersize=7)
        distance.semilogy(away, label=title, markevery=len(away) // 6, **its)
    plane.plot(*optimum, marker="*", color="black", markersize=14, linestyle="none")
    plane.annotate("optimum", optimum, xytext=(8, -14), textcoords="offset points")
    plane.set(xlabel="$w_1$", ylabel="$w_2$", title="the global w, round by round")
    distance.set(xlabel="communication round", ylabel="distance from the optimum")
    distance.set_title("how near it comes")
    distance.grid(alpha=0.3)
    named = distance.get_legend_handles_labels()
    figure.legend(*named, loc="outside lower center", ncols=4, handlelength=3.5, frameon=False)
    return figure


def _contours(axes: "Axes", problem: Quadratic, points: np.ndarray) -> None:
    """Contour lines of the objective around `points`, (n, 2)."""
    low, high = points.min(0), points.max(0)
    margin = 0.15 * (high - low) + 0.05
    sides = zip(low - margin, high + margin, strict=True)
    x, y = np.meshgrid(*(np.linspace(a, b, 80) for a, b in sides))
    objective = np.zeros_like(x)
    for client, share in zip(problem.clients, problem.shares()[:, 0].tolist(), strict=True):
        h, b = client.curvature, client.optimum
        objective += share / 2 * (h[0] * (x - b[0]) ** 2 + h[1] * (y - b[1]) ** 2)
    axes.contour(x, y, np.sqrt(objective), levels=12, colors="0.8", linewidths=0.7)
