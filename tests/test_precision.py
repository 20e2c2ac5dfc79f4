"""Layers that run in bfloat16: what of the methods must not."""

import pytest
import test_method_fedalign as align
import torch
import torch.nn.functional as F
from method_cases import CASES, DATA, run
from toy_clients import assert_same, client, network, settings, tensors

from regl_core.federation import federate
from regl_core.methods import FedAvg
from regl_core.methods.fedalign import FedAlign
from regl_core.methods.moon import Moon
from regl_core.methods.pfedgate import PFedGate


def bfloat16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


@pytest.mark.parametrize("method", CASES.values(), ids=CASES)
def test_every_method_trains_in_bfloat16(method):
    history = run(method, precision="bfloat16")
    states = (history.weights, *(w for state in history.clients for w in state.values()))
    for weights in states:
        for tensor in tensors(weights).values():
            assert tensor.dtype != torch.bfloat16
            assert not tensor.is_floating_point() or tensor.isfinite().all()
    assert_same(history, run(method, precision="bfloat16"))


def test_all_but_the_loss_is_in_single_precision():
    """Hence FedCAC's masks, FedAMP's distances, DynaFed's matching and every aggregation."""
    seen = []

    def watched(name):
        def hook(self, *given, **named):
            seen.append((name, torch.is_autocast_enabled("cpu")))
            return getattr(FedAvg, name)(self, *given, **named)

        return hook

    hooks = "answer", "start", "prepare", "loss", "correct", "finish", "aggregate"
    kind = type("Watched", (FedAvg,), {"name": "watched"} | {name: watched(name) for name in hooks})
    half = settings(rounds=1, precision="bfloat16")
    federate(kind(), network(), DATA, DATA[0], half, seed=0)
    assert dict(seen) == {name: name == "loss" for name in hooks}
    assert len(seen) > len(hooks)


def test_moons_cosines_are_of_single_precision():
    net, *frozen = (Moon().network(network(seed), seed).eval() for seed in range(3))
    data = client(6)
    with bfloat16():
        z = net.project(data.images)
        assert z.dtype == torch.bfloat16
        others = [one.project(data.images) for one in frozen]
        value = Moon(mu=1.0).loss(net, data.images, data.labels, frozen)
        supervised = Moon(mu=0.0).loss(net, data.images, data.labels, None)
    near = [F.cosine_similarity(z.float(), one.float()) / 0.5 for one in others]
    contrast = F.softplus(near[1] - near[0]).mean()  # −log(a / (a + b))
    assert value.dtype == torch.float32
    assert (value - supervised - contrast).abs().item() < 1e-6


def test_pfedgates_scores_are_of_single_precision():
    net, data = PFedGate(gate_side=4).network(network(), 0).eval(), client(6)
    expected = net.adapted(data.images)
    with bfloat16():
        found = net.adapted(data.images)
        assert net.gate(data.images).dtype == torch.bfloat16  # were it not asked otherwise
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_fedaligns_term_is_of_single_precision():
    """ℓ itself: `test_method_spectral`."""
    net, data = align.network(), align.client(6)
    prepared = align.context(FedAlign(mu=0.3), net)
    with bfloat16():
        value = FedAlign(mu=0.3).loss(net, data.images, data.labels, prepared)
        supervised = F.cross_entropy(net(data.images), data.labels)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(1.3 * supervised.item(), rel=1e-5)
