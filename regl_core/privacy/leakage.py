"""What is given away, as plain functions of distances and scores.

Two questions. Are images that a model draws copies of those it was tuned on? Each is compared
with real images that the model never saw (Meehan, Chaudhuri and Dasgupta, "A non-parametric test
to detect data-copying in generative models", 2020; Carlini et al., "Extracting training data from
diffusion models", 2023). And can one tell from a model which images it was trained on
(membership inference)?
"""

import torch
from torch import Tensor

from ..data import Split
from ..seeds import torch_generator


def cosine_distances(one: Tensor, other: Tensor) -> Tensor:
    """1 − cosine between unit features (n, d) and (m, d): float64 (n, m)."""
    return 1 - one.double() @ other.double().T


def pixel_distances(one: Tensor, other: Tensor) -> Tensor:
    """Root mean square difference of images uint8 (n, …) and (m, …): float32 (n, m), grey levels.

    0 for a copy, 255 between black and white.
    """
    flat = [images.flatten(1).float() for images in (one, other)]
    # By matrix products it would be faster, and wrong where images are nearly equal.
    apart = torch.cdist(*flat, compute_mode="donot_use_mm_for_euclid_dist")
    return apart / flat[0].shape[1] ** 0.5


def nearer(made: Tensor, held_out: Tensor, share: float) -> Tensor:
    """Which made images lie nearer to the training images than that `share` of real ones: bool.

    made (n,), held_out (h,): distance of each drawn image and of each held-out real one to the
    nearest training image. For images like the held-out ones the share is `share` itself.
    """
    return made < held_out.quantile(share)


def own_first(own: Tensor, held_out: Tensor) -> Tensor:
    """The chance that of each drawn image's neighbours the nearest is a training image: (n,).

    own (n, m), held_out (n, h): its distances to the training images and to held-out real ones.
    Of the more numerous only as many count as there are of the others; the chance is over all
    ways to choose them. Who draws without copying has ½ on average over all splits into training
    and held-out images, also where the images are typical ones, which lie near to everything. In
    one split images that are much alike can lie nearer to either side: compare with a control.
    """
    from scipy.stats import hypergeom

    if own.shape[1] > held_out.shape[1]:
        return 1 - own_first(held_out, own)
    between = (held_out < own.min(1, keepdim=True).values).sum(1).numpy()
    return torch.from_numpy(hypergeom.pmf(0, held_out.shape[1], between, own.shape[1]))


def separability(members: Tensor, strangers: Tensor, false_positives: float) -> tuple[float, float]:
    """How well a score tells members (m,) from strangers (n,): the AUC and a true-positive rate.

    AUC: the chance that a member has the higher score, 0.5 if the score says nothing. The rate
    is the share of members found when at most that share of strangers is taken for members: an
    attack that is sure of few is an attack, whatever its average (Carlini et al., "Membership
    inference attacks from first principles", 2022).
    """
    from sklearn.metrics import roc_auc_score, roc_curve  # a second of imports

    scores = torch.cat([members, strangers]).numpy()
    truth = [1] * len(members) + [0] * len(strangers)
    wrong, right, _ = roc_curve(truth, scores, drop_intermediate=False)
    return float(roc_auc_score(truth, scores)), float(right[wrong <= false_positives].max())


def balanced(members: Split, strangers: Split, *path: int | str) -> tuple[Split, Split]:
    """As many members as strangers of each class that has both, drawn from the seed `path`."""
    generator = torch_generator(*path, "candidates")
    chosen: list[list[Tensor]] = [[], []]
    for label in members.labels.unique():
        pools = [(own.labels == label).nonzero()[:, 0] for own in (members, strangers)]
        count = min(map(len, pools))
        for into, pool in zip(chosen, pools, strict=True):
            into.append(pool[torch.randperm(len(pool), generator=generator)[:count]])
    one, other = (torch.cat(parts).sort().values for parts in chosen)
    return members.subset(one), strangers.subset(other)
