from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regl_core import partition
from regl_core.errors import ReglError
from regl_core.partition import (
    IID,
    Dirichlet,
    GlobalShare,
    Pooled,
    SingleLabel,
    apportion,
    counts,
    dirichlet,
)

quick = settings(max_examples=60, deadline=None)
betas = st.floats(1e-4, 1e4)
seeds = st.integers(0, 2**31)
# Per class, the number of its images; classes of very different size and empty ones included.
sizes = st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any)


def labels_of(sizes, seed=0) -> torch.Tensor:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return torch.from_numpy(np.random.default_rng(seed).permutation(labels))


def same(left, right) -> bool:
    return len(left) == len(right) and all(map(torch.equal, left, right))


def every(clients):
    """One of each kind of partition."""
    base = Dirichlet(beta=0.5, clients=clients)
    return [base, SingleLabel(), IID(clients=clients), Pooled(), GlobalShare(share=0.2, base=base)]


DISJOINT = st.one_of(
    st.builds(Dirichlet, beta=betas, clients=st.integers(1, 20), balance_cap=st.booleans()),
    st.builds(IID, clients=st.integers(1, 20)),
    st.just(SingleLabel()),
    st.just(Pooled()),
)


@quick
@given(DISJOINT, sizes, seeds)
def test_every_image_has_exactly_one_owner(spec, sizes, seed):
    labels = labels_of(sizes, seed)
    if getattr(spec, "clients", 1) > len(labels):
        with pytest.raises(ReglError, match=r"clients: given .* expected at most"):
            spec.split(labels, len(sizes), seed)
        return
    parts = spec.split(labels, len(sizes), seed)
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(len(labels)))
    assert all(part.dtype == torch.int64 for part in parts)
    assert all(torch.equal(part, part.sort().values) for part in parts)
    assert counts(labels, parts, len(sizes)).sum(0).tolist() == sizes
    assert len(parts) == getattr(spec, "clients", len(sizes) if spec == SingleLabel() else 1)


@quick
@given(st.sampled_from(range(5)), seeds)
def test_the_seed_alone_decides(kind, seed):
    labels, spec = labels_of([30] * 10), every(5)[kind]
    np.random.seed(1)
    torch.manual_seed(1)
    first = spec.split(labels, 10, seed)
    np.random.seed(2)
    torch.manual_seed(2)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    assert same(spec.split(labels, 10, seed), first)
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.get_rng_state(), before[1])
    random = not isinstance(spec, SingleLabel | Pooled)
    assert same(spec.split(labels, 10, seed + 1), first) != random


def test_beta_is_the_concentration_of_the_shares():
    # Var of one share of Dir_N(beta) is (N - 1) / (N² (N beta + 1)).
    for beta, clients in ((0.01, 5), (0.5, 5), (3.0, 4)):
        rng = np.random.default_rng(0)
        drawn = np.stack([dirichlet(beta, clients, rng) for _ in range(20_000)])
        drawn /= drawn.sum(axis=1, keepdims=True)
        assert drawn.mean(axis=0) == pytest.approx(1 / clients, abs=0.01)
        expected = (clients - 1) / (clients**2 * (clients * beta + 1))
        assert drawn.var(axis=0) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("beta", [1e-300, 1e-4, 0.01, 1.0, 1e6, 1e300])
def test_shares_are_finite_for_every_beta(beta):
    rng = np.random.default_rng(0)
    for _ in range(200):
        shares = dirichlet(beta, 100, rng)
        assert shares.max() == 1 and (shares >= 0).all()


@quick
@given(sizes, st.integers(0, 2000), seeds)
def test_apportioned_numbers_are_nearest_to_their_quota(shares, total, seed):
    shares = np.array(shares)
    numbers = apportion(shares, total, np.random.default_rng(seed))
    assert numbers.sum() == total
    excess = numbers * shares.sum() - shares * total
    assert (np.abs(excess) < shares.sum()).all()
    whole = shares * total % shares.sum() == 0
    assert (excess[whole] == 0).all()


def test_ties_are_decided_by_lot():
    rng = np.random.default_rng(0)
    total = sum(apportion(np.ones(4), 6, rng) for _ in range(1000))
    assert (np.abs(total - 1500) < 80).all()


def test_a_single_label_per_client():
    labels = labels_of([3, 0, 5])
    parts = SingleLabel().split(labels, 3, seed=0)
    assert counts(labels, parts, 3).tolist() == [[3, 0, 0], [0, 0, 0], [0, 0, 5]]


@quick
@given(sizes, st.integers(1, 10), seeds)
def test_iid_parts_are_equally_large(sizes, clients, seed):
    labels = labels_of(sizes)
    if clients <= len(labels):
        held = [len(part) for part in IID(clients=clients).split(labels, len(sizes), seed)]
        assert max(held) - min(held) <= 1


@quick
@given(st.floats(0, 1), betas, sizes, seeds)
def test_a_global_share_of_each_class_reaches_every_client(share, beta, sizes, seed):
    labels = labels_of(sizes)
    base = Dirichlet(beta=beta, clients=min(4, len(labels)))
    parts = GlobalShare(share=share, base=base).split(labels, len(sizes), seed)
    own = base.split(labels, len(sizes), seed)
    drawn = (share * torch.tensor(sizes, dtype=torch.float64) + 0.5).long()
    for part, mine in zip(parts, own, strict=True):
        assert len(part.unique()) == len(part)
        assert set(mine.tolist()) <= set(part.tolist())
        had, has = (labels[p].bincount(minlength=len(sizes)) for p in (mine, part))
        assert (has >= drawn).all() and (has <= had + drawn).all()
        assert torch.equal(has[had == 0], drawn[had == 0])


def test_global_shares_of_zero_and_one_and_between():
    labels, base = labels_of([30] * 10), Dirichlet(beta=0.01, clients=5)
    shares = (0.0, 0.05, 0.1, 0.2, 0.3, 1.0)
    splits = [GlobalShare(share=share, base=base).split(labels, 10, 3) for share in shares]
    assert same(splits[0], base.split(labels, 10, 3))
    assert all(len(part) == 300 for part in splits[-1])
    for less, more in pairwise(splits):
        assert all(set(a.tolist()) <= set(b.tolist()) for a, b in zip(less, more, strict=True))
    assert not torch.equal(splits[1][0], splits[1][1])


@quick
@given(seeds)
def test_min_size_is_kept(seed):
    labels = labels_of([30] * 10)
    spec = Dirichlet(beta=0.1, clients=5, min_size=10)
    parts = spec.split(labels, 10, seed)
    assert min(map(len, parts)) >= 10
    plain = Dirichlet(beta=0.1, clients=5).split(labels, 10, seed)
    assert same(parts, plain) == (min(map(len, plain)) >= 10)


def test_a_min_size_out_of_reach_is_an_error():
    labels = labels_of([30] * 10)
    with pytest.raises(ReglError, match=r"none of 1000 draws .* 25 images: lower min_size"):
        Dirichlet(beta=1e-4, clients=12, min_size=25).split(labels, 10, 0)
    with pytest.raises(ReglError, match=r"clients: given 12 with at least 26 .* at most 11"):
        Dirichlet(beta=1e-4, clients=12, min_size=26).split(labels, 10, 0)


@quick
@given(seeds)
def test_the_balance_cap_stops_a_client_that_has_its_mean(seed):
    labels = labels_of([30] * 10)
    spec = Dirichlet(beta=0.01, clients=5, balance_cap=True)
    held = counts(labels, spec.split(labels, 10, seed), 10)
    before = held.cumsum(1) - held
    assert (held[before >= 60] == 0).all()
    assert held.sum(1).max() < 90


@pytest.mark.parametrize(
    "spec, setting",
    [
        (Dirichlet(beta=0.01, clients=5), "beta=0.01"),
        (Dirichlet(beta=1, clients=5), "beta=1"),
        (Dirichlet(beta=1e-4, clients=5), "beta=0.0001"),
        (Dirichlet(beta=0.5, clients=5, min_size=3), "beta=0.5;min_size=3"),
        (Dirichlet(beta=0.5, clients=5, balance_cap=True), "beta=0.5;balance_cap"),
        (SingleLabel(), "single_label"),
        (IID(clients=5), "iid"),
        (Pooled(), "all"),
        (GlobalShare(share=0, base=Dirichlet(beta=0.01, clients=5)), "global_share=0%"),
        (GlobalShare(share=0.07, base=Dirichlet(beta=0.01, clients=5)), "global_share=7%"),
        (GlobalShare(share=0.3, base=Dirichlet(beta=0.01, clients=5)), "global_share=30%"),
    ],
)
def test_settings_are_spelled_as_published(spec, setting):
    assert spec.setting == setting


@pytest.mark.parametrize("spec", [Dirichlet(beta=0.5, clients=7), IID(clients=7)])
def test_more_clients_than_images_is_an_error(spec):
    with pytest.raises(ReglError, match=r"clients: given 7 .* of 6 training images .* at most 6"):
        spec.split(labels_of([3, 3]), 2, 0)


# --- The test split ---


@quick
@given(DISJOINT, sizes, st.integers(0, 100), seeds)
def test_the_test_set_is_shared_out_like_the_training_set(spec, sizes, per_class, seed):
    train, test = labels_of(sizes, 1), labels_of([per_class] * len(sizes), 2)
    if getattr(spec, "clients", 1) > len(train):
        return
    parts = spec.split(train, len(sizes), seed)
    mine = partition.test_split(train, parts, test, len(sizes), seed)
    assert len(mine) == len(parts) and all(part.dtype == torch.int64 for part in mine)
    given_out = torch.cat(mine)
    assert len(given_out.unique()) == len(given_out)
    had, has = counts(train, parts, len(sizes)), counts(test, mine, len(sizes))
    assert (has[had == 0] == 0).all()
    assert has.sum(0).tolist() == [per_class * (size > 0) for size in sizes]
    k_train = torch.tensor(sizes).clamp(min=1)
    assert ((has * k_train - had * per_class).abs() < k_train).all()


@quick
@given(st.floats(0.05, 1), seeds)
def test_overlapping_clients_draw_their_test_images_alone(share, seed):
    train, test = labels_of([30] * 10, 1), labels_of([147] * 10, 2)
    parts = GlobalShare(share=share, base=Dirichlet(beta=0.01, clients=5)).split(train, 10, seed)
    mine = partition.test_split(train, parts, test, 10, seed)
    had, has = counts(train, parts, 10), counts(test, mine, 10)
    assert all(len(part.unique()) == len(part) for part in mine)
    assert ((has * 30 - had * 147).abs() < 30).all()
    if share == 1:
        assert all(len(part) == 1470 for part in mine)


def test_images_that_no_client_owns_keep_their_test_images():
    train, test = labels_of([30] * 10, 1), labels_of([100] * 10, 2)
    parts = Dirichlet(beta=0.5, clients=5).split(train, 10, 0)
    mine = partition.test_split(train, parts[:2], test, 10, 0)
    had, has = counts(train, parts[:2], 10), counts(test, mine, 10)
    assert ((has * 30 - had * 100).abs() < 30).all()


def test_the_test_split_follows_its_seed_alone():
    train, test = labels_of([30] * 10, 1), labels_of([147] * 10, 2)
    parts = Dirichlet(beta=0.5, clients=5).split(train, 10, 0)
    np.random.seed(1)
    first = partition.test_split(train, parts, test, 10, 0)
    np.random.seed(2)
    assert same(partition.test_split(train, parts, test, 10, 0), first)
    assert not same(partition.test_split(train, parts, test, 10, 1), first)
