"""pFedGate: the open gate is FedAvg, one round by hand, the knapsack, personal models."""

from functools import partial
from math import log

import method_cases
import pytest
import torch
from method_cases import ONE_STEP, SPLITS, TEST
from torch import nn
from toy_clients import client, clients, network, same, settings

from regl_core.clients import ClientData
from regl_core.errors import ReglError
from regl_core.federation import federate
from regl_core.methods import FedAvg
from regl_core.methods.pfedgate import Gated, PFedGate, SwitchNorm
from regl_core.training import evaluate
from regl_core.weights import Weights

DATA = clients(5, 9, 7)
run = partial(method_cases.run, data=DATA)


def gate(**fields) -> PFedGate:
    return PFedGate(**({"gate_side": 4} | fields))


class Open(PFedGate):
    """A gate fixed at one: σ(100) is 1, and has no gradient, in single precision."""

    name = "open"

    def network(self, net, seed):
        gated = super().network(net, seed)
        nn.init.zeros_(gated.gate.outputs.weight)
        nn.init.constant_(gated.gate.outputs.bias, 100.0)
        return gated


def bare(weights: Weights) -> Weights:
    """The weights of the network within."""
    own = weights.select(lambda name: name.startswith("net."))
    return Weights(
        {name.removeprefix("net."): tensor for name, tensor in own.params.items()},
        {name.removeprefix("net."): tensor for name, tensor in own.buffers.items()},
    )


@pytest.mark.parametrize("fraction", [1.0, 0.7])
def test_open_gate_that_keeps_all_is_fedavg(fraction):
    opened = run(Open(share=1.0, gate_side=4), client_fraction=fraction)
    fedavg = run(FedAvg(), client_fraction=fraction)
    assert same(bare(opened.weights), fedavg.weights)
    assert opened.accuracy == fedavg.accuracy and opened.personal == fedavg.personal


class Scripted(PFedGate):
    """Scores that no image can change: σ of the output norm's bias, here 3/4, 1/2 and 1/4."""

    name = "scripted"

    def network(self, net, seed):
        gated = super().network(net, seed)
        nn.init.zeros_(gated.gate.linear.weight)
        with torch.no_grad():
            gated.gate.outputs.bias.copy_(torch.tensor([log(3), 0.0, -log(3)]))
        return gated


def test_one_round_of_two_clients_by_hand():
    """W = [[2, 5, 5], [3, 5, 5]] in sub-blocks of ceil(6/5) = 2: (2, 5), (5, 3), (5, 5).

    The first is kept; a share of 2/3, 4 numbers, has room for one more: that with score 1/2.
    θ̂ = [[3/4·2, 3/4·5, 1/2·5], [1/2·3, 0, 0]]. Of an image (a, 0, 0) both logits are 1.5 a: p = ½.
    Gradient of θ̂ at [0,0] and [1,0], the rest being zero: client 0, a = 2 of class 0: (−1, 1);
    client 1, a = 2, 4, 6 of class 1: ½ of the mean of a: (2, −2).
    W: times the scores 3/4, 1/2: client 0 (2, 3) − (−3/4, 1/2) = (2.75, 2.5),
       client 1 (2, 3) − (3/2, −1) = (0.5, 4); mean by 1/4, 3/4: (1.0625, 3.625).
    Score gradient, times W and 1 + r: client 0 −1·2·7/4 = −3.5 and 1·3·3/2 = 4.5,
       client 1 2·2·7/4 = 7 and −2·3·3/2 = −9. Bias: times r(1 − r) = 3/16 and 1/4.
    """
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2, bias=False))
    net[2].weight.data = torch.tensor([[2.0, 5.0, 5.0], [3.0, 5.0, 5.0]])

    def data(label, *values):
        images = torch.zeros(len(values), 3, 4, 4)
        images[:, 0] = torch.tensor(values)[:, None, None]
        return ClientData(images, torch.full((len(values),), label))

    two = [data(0, 2.0), data(1, 2.0, 4.0, 6.0)]
    training = settings(**ONE_STEP, rate=1.0)
    history = federate(Scripted(share=2 / 3, gate_side=4), net, two, two[1], training, 0)
    weight = history.weights.params["net.2.weight"].flatten().tolist()
    assert weight == pytest.approx([1.0625, 5, 5, 3.625, 5, 5], abs=1e-6)
    biases = [state["own"].params["gate.outputs.bias"].tolist() for state in history.clients]
    assert biases[0] == pytest.approx([log(3) + 3.5 * 3 / 16, -4.5 / 4, -log(3)], abs=1e-6)
    assert biases[1] == pytest.approx([log(3) - 7 * 3 / 16, 9 / 4, -log(3)], abs=1e-6)


def gated(share: float) -> Gated:
    """A convolution of twenty-five numbers, and a linear layer of ten and one."""
    net = nn.ModuleDict({"conv": nn.Conv2d(1, 1, 5, bias=False), "fc": nn.Linear(10, 1)})
    return Gated(net, share, 5, 2)


def test_sub_blocks_are_runs_and_the_first_always_stays():
    net = gated(0.5)
    assert net.sizes == [5] * 5 + [2] * 5 + [1]  # the bias has one number and stays whole
    assert net.competing == [6, 7, 8, 9, 1, 2, 3, 4]
    assert net.capacity == 36 / 2 - (5 + 2 + 1)
    rising = torch.arange(11) / 10
    assert net.kept(rising).tolist() == [1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert net.kept(-rising).tolist() == [1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1]
    ragged = Gated(nn.Conv2d(1, 1, 3, bias=False), 0.5, 4, 2)
    assert ragged.sizes == [3, 3, 3]  # ceil(9/4) = 3


def test_of_scores_equal_in_tenths_the_smaller_sub_block_is_first():
    net = gated(0.5)
    scores = torch.tensor([0.54] * 5 + [0.46] * 6)
    assert net.kept(scores).tolist() == [1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    scores[3] = 0.56
    assert net.kept(scores).tolist() == [1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1]
    net.kept(scores * float("nan"))  # a run that diverges goes on, as with any method


def test_a_sub_block_that_does_not_fit_makes_way_for_a_smaller_one():
    net = nn.ModuleDict({"a": nn.Conv2d(1, 1, 5, bias=False), "b": nn.Conv2d(2, 5, 1, bias=False)})
    gates = Gated(net, 0.5, 5, 2)  # five blocks of 5, five of 2, room for 17.5 → 18, less 5 and 2
    scores = torch.tensor([0.0, 9, 7, 1, 1, 0, 8, 6, 5, 1]) / 10
    # 5 and 2 leave 4: the next 5 is too large, 2 and 2 fit.
    assert gates.kept(scores).tolist() == [1, 1, 0, 0, 0, 1, 1, 1, 1, 0]
    scores[2] = 1.0  # 5 and 5 leave 1
    assert gates.kept(scores).tolist() == [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]


def test_gradient_of_the_factors():
    net = gated(0.5)
    scores = torch.full((11,), 0.1).index_fill(0, torch.tensor([0, 1, 5]), 0.8).requires_grad_()
    factors = net.factors(scores)
    assert factors.tolist() == pytest.approx([0.8, 0.8, 0, 0, 0, 0.8, 0.1, 0.1, 0, 0, 0.1])
    factors.sum().backward()
    # Kept above the floor of 1/5: 1 + r; kept below it: 1; pruned: nothing.
    assert scores.grad.tolist() == pytest.approx([1.8, 1.8, 0, 0, 0, 1.8, 1, 1, 0, 0, 1])
    whole = torch.rand(11, requires_grad=True)
    assert gated(1.0).factors(whole) is whole


def test_every_run_has_its_own_factor():
    net = Gated(nn.Linear(7, 1, bias=False), 1.0, 3, 2)  # runs of 3, 3 and 1
    nn.init.ones_(net.net.weight)
    net.gate = nn.Identity()
    adapted = net.adapted(torch.tensor([0.1, 0.2, 0.3]))["weight"]
    assert adapted.flatten().tolist() == pytest.approx([0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.3])


def test_switch_norm_by_hand():
    """Channels (0, 2), (4, 8) and (2, 2), (6, 6) of two images of two pixels."""
    images = torch.tensor([[[[0.0, 2.0]], [[4.0, 8.0]]], [[[2.0, 2.0]], [[6.0, 6.0]]]])
    norm = SwitchNorm(2)
    # Instance: means 1, 6 and 2, 6, variances (n − 1) 2, 8 and 0, 0.
    # Layer: means 3.5 and 4, variances (2 + 8)/2 + 2.5² = 11.25 and 0 + 2² = 4.
    # Batch: means 1.5 and 6, variances (2 + 0)/2 + 0.5² = 1.25 and (8 + 0)/2 + 0 = 4.
    mean, var = (1 + 3.5 + 1.5) / 3, (2 + 11.25 + 1.25) / 3
    trained = norm(images)[0, 0].flatten().tolist()
    expected = [(x - mean) / (var + 1e-5) ** 0.5 for x in (0, 2)]
    assert trained == pytest.approx(expected, abs=1e-6)
    assert norm.running_mean.flatten().tolist() == pytest.approx([0.15, 0.6])
    assert norm.running_var.flatten().tolist() == pytest.approx([0.125, 0.4])
    norm.eval()
    mean, var = (6 + 4 + 0.6) / 3, (0 + 4 + 0.4) / 3  # second image, second channel
    expected = [(6 - mean) / (var + 1e-5) ** 0.5] * 2
    assert norm(images)[1, 1].flatten().tolist() == pytest.approx(expected, abs=1e-6)
    assert norm.running_mean.flatten().tolist() == pytest.approx([0.15, 0.6])
    with torch.no_grad():
        norm.mean_shares[0] = norm.var_shares[0] = 100.0  # instance statistics alone
    expected = [(x - 6) / (8 + 1e-5) ** 0.5 for x in (4, 8)]
    assert norm(images)[0, 1].flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_scores_depend_on_the_images():
    net = gate().network(network(), 0).eval()
    one, other = net.gate(client(4, seed=1).images), net.gate(client(4, seed=2).images)
    assert one.shape == (len(net.sizes),) and ((one > 0) & (one < 1)).all()
    assert (one - other).abs().max() > 1e-3
    both = net.gate(torch.cat([client(4, seed=1).images, client(4, seed=2).images]))
    assert torch.allclose(both, (one + other) / 2, atol=1e-6)


def test_it_is_not_evaluated_on_fewer_images_at_a_time_where_memory_is_short():
    """The gate's scores would be others; a network without a gate makes do with half."""

    def limited(module, given):
        if len(given[0]) > 3:
            raise torch.OutOfMemoryError

    for net in (network(), gate().network(network(), 0)):
        net.register_forward_pre_hook(limited)
        assert 0 <= evaluate(net, SPLITS[0], size=3) <= 100
        if isinstance(net, Gated):
            with pytest.raises(ReglError, match="classifying 6 images at a time; with fewer"):
                evaluate(net, SPLITS[0], size=6)
        else:
            assert evaluate(net, SPLITS[0], size=6) == evaluate(net, SPLITS[0], size=3)


def test_large_images_are_pooled_and_images_of_the_gates_side_are_not():
    seen = []
    net = gate().network(network(), 0)
    net.gate.inputs.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    small, large = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 12, 12)
    net.gate(small), net.gate(large)
    assert torch.equal(seen[0], small)
    assert torch.allclose(seen[1], large.view(2, 3, 4, 3, 4, 3).mean((3, 5)), atol=1e-6)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_personal_accuracy_is_that_of_the_scaled_and_pruned_network(share):
    history = run(gate(share=share), rounds=2)
    for number, (state, split) in enumerate(zip(history.clients, SPLITS, strict=False)):
        net = gate(share=share).network(network(), 0)
        (history.weights | state["own"]).into(net)
        net.eval()
        with torch.no_grad():
            scores = net.gate(split.images)
            factors = scores * net.kept(scores) if share < 1 else scores
        plain, block = network(seed=7), 0
        bare(history.weights).into(plain)
        with torch.no_grad():
            for parameter in plain.parameters():
                flat = parameter.view(-1)
                for run_of in flat.split(-(-flat.numel() // min(5, flat.numel()))):
                    run_of.mul_(factors[block])
                    block += 1
        assert block == len(factors)
        assert evaluate(plain, split) == history.personal[-1][number]
        assert torch.allclose(plain(split.images), net(split.images), atol=1e-5)


def test_the_gates_gradient_is_clipped_and_the_models_is_not():
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2, bias=False))
    nn.init.constant_(net[2].weight, 100.0)
    data = client(6)
    data = ClientData(data.images * 1000, data.labels % 2)
    training = settings(**ONE_STEP, rate=1.0)
    history = federate(gate(share=1.0), net, [data], TEST, training, 0)
    before = dict(gate(share=1.0).network(net, 0).named_parameters())
    after = {**history.weights.params, **history.clients[0]["own"].params}
    moved = {name: (after[name] - before[name]).norm().item() for name in before}
    assert moved.pop("net.2.weight") > 20
    assert sum(step**2 for step in moved.values()) ** 0.5 == pytest.approx(10.0, rel=1e-3)


# What is kept and sent: `test_method_partial`.
MUTATIONS = (
    ("the gate is sent and averaged with the model", 'name.startswith("gate.")', "False"),
    ("no straight-through term", "(1 + (through - through.detach()))", "1.0"),
    ("the floor is not held", "scores.clamp(min=self.floor)", "scores"),
    ("the factor loses its gradient", "through.detach())) * scores", "through)) * scores.detach()"),
    ("scores only prune", "through.detach())) * scores", "through.detach()))"),
    ("the lowest scores are kept", "reverse=True", "reverse=False"),
    ("what does not fit ends the choice", "kept[block] = 0.0", "kept[block], left = 0.0, 0"),
    ("scores are not rounded", "(10 * scores).round()", "scores"),
    (
        "of equal scores the earlier is first",
        "sorted(competing, key=self.sizes.__getitem__)",
        "competing",
    ),
    ("the first sub-blocks compete too", "range(first + 1, len", "range(first, len"),
    (
        "the first sub-blocks take no room",
        "round(share * sum(self.sizes)) - always",
        "round(share * sum(self.sizes))",
    ),
    (
        "the authors' capacity, less than the share",
        "round(share * sum(self.sizes)) - always",
        "round((share - self.floor) * (sum(self.sizes) - always))",
    ),
    ("scores are those of one image", ".sigmoid().mean(0)", ".sigmoid()[0]"),
    ("scores are not normalised", "self.outputs(self.linear(", "(self.linear("),
    ("runs are interleaved", "repeat_interleave(length)", "repeat(length)"),
    ("the gradient is not clipped", "net.gate.parameters(), 10.0", "net.gate.parameters(), 1e9"),
    ("the model's is clipped too", "net.gate.parameters(), 10.0", "net.parameters(), 10.0"),
    (
        "images are cut, not pooled",
        "F.adaptive_avg_pool2d(images, self.side)",
        "images[..., :4, :4]",
    ),
    ("the gate trains with running statistics", "if self.training:", "if not self.training:"),
    (
        "layer statistics forget the spread of their parts",
        "keepdim=True) + between",
        "keepdim=True)",
    ),
    (
        "the gate is drawn from the global generator",
        "torch.random.fork_rng(devices=[])",
        "torch.enable_grad()",
    ),
    ("every seed has the same gate", 'derive(seed, "gate")', 'derive(0, "gate")'),
)
