"""Which client owns which images: label skew of several kinds, and the matching test split.

Every partition has the same two members, whatever its kind.

setting
    Its name in the tables, spelled as in the paper's published tables.
split(labels, classes, seed)
    From `labels`, int64 (n,) below `classes`, one tensor per client: the indices of its images,
    int64, ascending. The same seed gives the same parts. A part can be empty: with small beta or
    many clients some own nothing. Raises ReglError if there are more clients than images.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from .errors import ReglError
from .seeds import numpy_generator
from .settings import Frozen

if TYPE_CHECKING:  # settings name partitions, and are read without torch
    from torch import Tensor

ATTEMPTS = 1000  # draws in search of a partition with `min_size`: a second or two

Parts = tuple["Tensor", ...]
Clients = Annotated[int, Field(ge=1)]


class Dirichlet(Frozen):
    """Label skew of strength 1 / `beta` (paper, Sec. 5.1).

    For each class k, p_k is drawn from Dir_N(beta) with N = `clients`, and client j gets the
    proportion p_kj of the images of class k, in whole images by largest remainder. Each image has
    exactly one owner. Two options, which the paper does not use:

    min_size : the whole partition is drawn anew until each client has this many images; ReglError
        if that is impossible or does not happen in 1000 draws.
    balance_cap : a client that already has n / N images gets none of the classes that follow,
        which makes these classes sparser than beta says.
    """

    kind: Literal["dirichlet"] = "dirichlet"
    beta: Annotated[float, Field(gt=0)]
    clients: Clients
    min_size: Annotated[int, Field(ge=0)] = 0
    balance_cap: bool = False

    @property
    def setting(self) -> str:
        options = [f"min_size={self.min_size}"] * (self.min_size > 0)
        options += ["balance_cap"] * self.balance_cap
        return ";".join([f"beta={self.beta:.12g}", *options])

    def split(self, labels: "Tensor", classes: int, seed: int) -> Parts:
        _check_enough(len(labels), self.clients, max(1, self.min_size))
        for attempt in range(ATTEMPTS):
            parts = self._draw(labels.numpy(), numpy_generator(seed, "partition", attempt))
            if min(len(part) for part in parts) >= self.min_size:
                return parts
        raise ReglError(
            f"partition {self.setting}: none of {ATTEMPTS} draws gave each of {self.clients} "
            f"clients {self.min_size} images: lower min_size or clients, or raise beta"
        )

    def _draw(self, labels: np.ndarray, rng: np.random.Generator) -> Parts:
        parts: list[list[np.ndarray]] = [[] for _ in range(self.clients)]
        sizes = np.zeros(self.clients, dtype=np.int64)
        for label in np.unique(labels):
            takers = np.arange(self.clients)
            if self.balance_cap:
                # Never empty: while images are left, some client is below the mean. Leaving
                # clients out of a Dirichlet draw equals rescaling the shares of the others.
                takers = np.flatnonzero(sizes * self.clients < len(labels))
            shares = dirichlet(self.beta, len(takers), rng)
            dealt = deal(np.flatnonzero(labels == label), shares, rng)
            for client, images in zip(takers, dealt, strict=True):
                parts[client].append(images)
                sizes[client] += len(images)
        return _tensors(parts)


class SingleLabel(Frozen):
    """A party with a single label: client k owns all images of class k (paper, Sec. 5.1)."""

    kind: Literal["single_label"] = "single_label"
    setting: ClassVar[str] = "single_label"

    def split(self, labels: "Tensor", classes: int, seed: int) -> Parts:
        return _tensors([np.flatnonzero(labels.numpy() == label)] for label in range(classes))


class IID(Frozen):
    """No skew: the images are shuffled and dealt in equal parts, whatever their class.

    Source: McMahan et al. 2017, Sec. 3. The sizes of two parts differ by one image at most.
    """

    kind: Literal["iid"] = "iid"
    setting: ClassVar[str] = "iid"
    clients: Clients

    def split(self, labels: "Tensor", classes: int, seed: int) -> Parts:
        _check_enough(len(labels), self.clients, 1)
        order = numpy_generator(seed, "partition", "iid").permutation(len(labels))
        return _tensors([part] for part in np.array_split(order, self.clients))


class GlobalShare(Frozen):
    """`base`, with the same share of each class of *all* images given to every client besides.

    Source: paper, Sec. 3 and Table 1. This breaks privacy on purpose: images leave their owners,
    and clients overlap. It measures what knowing the global distribution is worth.

    Each client draws share × (images of the class) for itself from the whole class, rounded to
    the nearest image, halves up. An image that it draws and already owns counts once. With the
    same seed a larger share contains a smaller one. A share of 0 is `base` itself.
    """

    kind: Literal["global_share"] = "global_share"
    share: Annotated[float, Field(ge=0, le=1)]  # of each class
    base: Dirichlet

    @property
    def setting(self) -> str:
        return f"global_share={100 * self.share:.12g}%"

    def split(self, labels: "Tensor", classes: int, seed: int) -> Parts:
        members = [np.flatnonzero(labels.numpy() == label) for label in range(classes)]
        parts = []
        for client, own in enumerate(self.base.split(labels, classes, seed)):
            rng = numpy_generator(seed, "partition", "global_share", client)
            drawn = [rng.permutation(m)[: int(self.share * len(m) + 0.5)] for m in members]
            parts.append([np.union1d(own.numpy(), np.concatenate(drawn))])
        return _tensors(parts)


class Pooled(Frozen):
    """One client holds everything: the reference without federation ("Centralized")."""

    kind: Literal["pooled"] = "pooled"
    setting: ClassVar[str] = "all"

    def split(self, labels: "Tensor", classes: int, seed: int) -> Parts:
        return _tensors([[np.arange(len(labels))]])


PartitionSpec = Annotated[
    Dirichlet | SingleLabel | IID | GlobalShare | Pooled, Field(discriminator="kind")
]


def test_split(
    train_labels: "Tensor", parts: Parts, test_labels: "Tensor", classes: int, seed: int
) -> Parts:
    """Test images for each client, skewed like its training images (paper, Sec. 5.1).

    Of class k a client gets k_test × (its training images of k) / k_train test images, drawn at
    random, where k_train and k_test count the class in the whole training and test set. The
    numbers are made whole by largest remainder, ties decided by lot. No test image is given
    twice, and all are given if `parts` cover the training set. A client without a class gets no
    test image of it; one with few training images may get none either.

    If `parts` overlap (`GlobalShare`), the test sets cannot be disjoint: each client then draws
    its own from the whole test set.

    Labels are int64 (n,) below `classes`; `parts` are indices into `train_labels`, one tensor per
    client. Returns indices into `test_labels` likewise: int64, ascending.
    """
    owned = counts(train_labels, parts, classes).numpy()
    given = np.concatenate([part.numpy() for part in parts])
    overlap = len(np.unique(given)) < len(given)
    groups = np.split(np.arange(len(parts)), len(parts) if overlap else 1)
    chosen: list[list[np.ndarray]] = [[] for _ in parts]
    for group in groups:
        for label in np.flatnonzero(owned[group].sum(axis=0)):
            rng = numpy_generator(seed, "test_split", int(group[0]), int(label))
            here = owned[group, label]
            others = int((train_labels == label).sum()) - here.sum()  # owned outside the group
            members = np.flatnonzero(test_labels.numpy() == label)
            *dealt, _ = deal(members, np.append(here, others), rng)
            for client, images in zip(group, dealt, strict=True):
                chosen[client].append(images)
    return _tensors(chosen)


def counts(labels: "Tensor", parts: Parts, classes: int) -> "Tensor":
    """Images of each class that each client owns: int64 (clients, classes)."""
    import torch

    return torch.stack([labels[part].bincount(minlength=classes) for part in parts])


def _tensors(parts: Iterable[Sequence[np.ndarray]]) -> Parts:
    import torch  # seconds, which who only names a partition need not pay

    none = np.empty(0, dtype=np.int64)
    return tuple(torch.from_numpy(np.sort(np.concatenate([none, *part]))) for part in parts)


def _check_enough(images: int, clients: int, each: int) -> None:
    if images < clients * each:
        raise ReglError(
            f"clients: given {clients} with at least {each} of {images} training images each, "
            f"expected at most {images // each}: lower clients or min_size, or use more images"
        )


def dirichlet(beta: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """A draw from Dir(beta, …, beta) up to its scale: float64 (size,), the largest share is 1.

    With g ~ Gamma(beta + 1) and u uniform, g · u^(1 / beta) ~ Gamma(beta) (Marsaglia and Tsang
    2000, Sec. 6). In logarithms, as for small beta all shares can be below the smallest float.
    """
    log_gamma = np.log(rng.standard_gamma(beta + 1, size))
    # The logarithms of the shares times beta, which are finite for every beta.
    scaled = beta * (log_gamma - log_gamma.max()) - rng.standard_exponential(size)
    return np.exp((scaled - scaled.max()) / beta)


def apportion(shares: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers in proportion to `shares` with the sum `total`, by largest remainder.

    `shares` (n,) are not negative and not all zero; a share of zero gets nothing. Integer shares
    are apportioned without rounding errors. Ties are decided by lot, so that no place in the
    order is favoured time and again. Returns int64 (n,).
    """
    numbers, remainders = np.divmod(shares * total, shares.sum())
    numbers = numbers.astype(np.int64)
    lots = rng.permutation(len(shares))
    ranking = lots[np.argsort(-remainders[lots], kind="stable")]
    numbers[ranking[: total - numbers.sum()]] += 1
    return numbers


def deal(things: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """`things`, shuffled and dealt in proportion to `shares` as `apportion` does, an array each."""
    counts = apportion(shares, len(things), rng)
    return np.split(rng.permutation(things), np.cumsum(counts)[:-1])
