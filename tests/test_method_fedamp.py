"""FedAMP: attentive messages, and a pull to them from the client's own weights."""

import math

import pytest
import torch
import torch.nn.functional as F
from method_cases import DATA, SPLITS, run, watched
from torch import nn
from toy_clients import clients, network, same, settings

from regl_core.clients import ClientData
from regl_core.evidence.identities import gap
from regl_core.federation import federate, select
from regl_core.methods import Server
from regl_core.methods.fedamp import FedAMP, distance
from regl_core.methods.separate import Separate
from regl_core.training import batches, evaluate
from regl_core.weights import Weights

# Of the order of the toy network's distances, so that every part of the method is felt.
FELT = {"alpha": 0.5, "sigma": 1.0, "regularization": 0.5}


def scalar(value):
    return Weights({"w": torch.tensor([value])}, {})


def flat(net):
    return torch.cat([p.detach().double().flatten() for p in net.parameters()])


def message(own, peers, alpha, sigma):
    """u_i and the step taken to it; where the peers would weigh more than 1, w_i weighs nothing."""
    near = [math.exp(-(own - w).square().sum().item() / sigma) / sigma for w in peers]
    step = min(alpha, 1 / sum(near)) if near else alpha
    u = (1 - step * sum(near)) * own
    return u + sum(step * share * w for share, w in zip(near, peers, strict=True)), step


def plain_round(net, data, number, turn, u, strength):
    """Autograd through the whole objective, F_i(w) + strength/2 ‖w − u‖², in shorter steps."""
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    for done in range(2):
        for index in batches(data, 4, 0, "batches", number, turn, done):
            optimizer.zero_grad()
            w = torch.cat([p.flatten() for p in net.parameters()])
            loss = F.cross_entropy(net(data.images[index]), data.labels[index])
            objective = loss + strength / 2 * (w - u.float()).square().sum()
            (objective / (1 + 0.1 * strength)).backward()
            optimizer.step()


@pytest.mark.parametrize(
    "fraction,alpha,sigma", [(1.0, 0.5, 1.0), (0.6, 0.5, 1.0), (1.0, 5.0, 2.0)]
)
def test_all_rounds_by_hand(fraction, alpha, sigma):
    """The last case is one in which the peers would weigh more than 1."""
    rounds, changes = 4, {"rounds": 4, "client_fraction": fraction}
    method = FedAMP(alpha=alpha, sigma=sigma, regularization=0.5, decay=0.5, decay_rounds=2)
    history = run(method, **changes)
    nets, sent = {number: network() for number in (0, 1, 3)}, {}
    for turn in range(rounds):
        alpha_k = alpha * (1, 1, 0.5, 0.5)[turn]
        new = {}
        for number in select([0, 1, 3], fraction, 0, turn):
            peers = [w for other, w in sent.items() if other != number]
            u, step = message(flat(nets[number]), peers, alpha_k, sigma)
            plain_round(nets[number], DATA[number], number, turn, u, 0.5 / step)
            new[number] = flat(nets[number])
        sent |= new
        for number, net in nets.items():
            assert history.personal[turn][number] == evaluate(net, SPLITS[number])
    for number in sent:
        assert gap(history.clients[number]["weights"], Weights.of(nets[number])) < 2e-6


def test_two_rounds_of_two_quadratics_by_hand():
    """F = (w − b)²/2, b = 1 and −3, from w = 0: two steps of 1/10, with λ = 1, α = 2, σ = 4."""

    class Quadratic(FedAMP):
        name = "quadratic"

        def loss(self, net, images, labels, context):
            return 0.5 * (net(images).squeeze(1) - labels).square().mean()

    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    two = [ClientData(torch.ones(2, 1), torch.full((2,), b)) for b in (1.0, -3.0)]
    test = ClientData(torch.ones(1, 1), torch.zeros(1))
    method = Quadratic(regularization=1.0, alpha=2.0, sigma=4.0)

    def own(rounds):
        training = settings(rounds=rounds, momentum=0.0, weight_decay=0.0)
        history = federate(method, net, two, test, training, seed=0)
        return [state["weights"].params["weight"].item() for state in history.clients]

    # A step is 0.1 (2 (w − b) + (w − u))/(2 + 0.1), and u = 0.
    # First: 0 + 0.1 · 2/2.1 = 0.0952381; − 0.1 (−1.8095238 + 0.0952381)/2.1 = 0.1768707.
    # Second: three times the negative of that, 0.2857143 and −0.5306122.
    assert own(1) == pytest.approx([0.1768707, -0.5306122], abs=1e-6)
    # ξ = 2/4 e^(−0.7074830²/4) = 0.4411897: u = 0.1768707 − 0.7074830 ξ = −0.1352635, and
    # −0.5306122 + 0.7074830 ξ = −0.2184780. First: 0.1768707 − 0.1 (−1.6462585 + 0.3121342)/2.1
    # = 0.2404005; then − 0.1 (−1.5191991 + 0.3756640)/2.1 = 0.2948545. Second: −0.5306122 −
    # 0.1 (4.9387755 − 0.3121342)/2.1 = −0.7509285; − 0.1 (4.4981430 − 0.5324505)/2.1 = −0.9397710.
    assert own(2) == pytest.approx([0.2948545, -0.9397710], abs=1e-6)


def answer(method, *models):
    """What client 0 gets where clients hold numbers: u, and the step taken to it."""
    server = method.server_state(scalar(0.0))
    sent = {f"w.{number}": scalar(value) for number, value in enumerate(models)}
    extra = method.answer(Server(server.weights, {**server.extra, **sent}), 0).extra
    return extra["u"].params["w"].item(), float(extra["alpha"])


def test_messages_by_hand():
    method = FedAMP(alpha=1.0, sigma=4.0)
    assert method.attention([], 1.0) == [] and answer(method, 3.0) == (3.0, 1.0)
    assert method.attention([4.0, 0.0], 1.0) == pytest.approx([math.exp(-1) / 4, 0.25])
    assert answer(method, 0.0, 2.0, 0.0) == (pytest.approx(2 * math.exp(-1) / 4), 1.0)
    # Twice that, and four times: Σ ξ is 2 (1 + 1/e) with α = 8. The step ends at Σ ξ = 1.
    full = 4 / (1 + math.exp(-1))
    assert answer(FedAMP(alpha=8.0, sigma=4.0), 0.0, 2.0, 0.0) == pytest.approx(
        (2 / (1 + math.e), full)
    )
    # The values by default, for models still alike: their mean, and σ over their number.
    assert answer(FedAMP(), 0.0, 1e-3, 2e-3) == pytest.approx((1.5e-3, 50.0), rel=1e-6)


def test_at_its_own_model_the_pull_does_not_depend_on_the_step():
    """λ/α_k (w_i − u_i) = (λ/σ) Σ e^{−‖w_i − w_j‖²/σ} (w_i − w_j), guarded or not."""
    expected = -(2 * math.exp(-1) + 1 * math.exp(-1 / 4)) / 4
    for alpha in (0.1, 1.0, 10.0, 1e4):
        u, step = answer(FedAMP(alpha=alpha, sigma=4.0), 0.0, 2.0, 1.0)
        assert -u / step == pytest.approx(expected, rel=1e-5)


def test_by_default_clients_come_closer():
    """Distances of these networks are small beside σ = 100: the pull is the weakest there is."""
    far = []
    for method in (FedAMP(), Separate()):
        states = run(method, rounds=8, data=clients(5, 9, 3, 6)).clients
        models = [Weights(state["weights"].params, {}) for state in states]
        far.append(sum(distance(one, other) for one in models for other in models))
    assert far[0] < 0.9 * far[1]


def test_it_stays_finite_however_far_alpha_decays():
    history = run(FedAMP(decay_rounds=1), rounds=12)  # α from 1e4 to 1e-7
    late = run(FedAMP(decay=1e-200, decay_rounds=1), rounds=4)  # below any double
    for one in (history, late):
        for state in (one.clients[number]["weights"] for number in (0, 1, 3)):
            assert all(tensor.abs().max() < 100 for tensor in state.params.values())


def test_distance_is_over_all_trainable_parameters():
    a = Weights({"w": torch.tensor([1.0, 2.0]), "b": torch.tensor([5.0])}, {})
    b = Weights({"b": torch.tensor([2.0]), "w": torch.tensor([4.0, -2.0])}, {"m": torch.ones(1)})
    assert distance(a, b) == distance(b, a) == pytest.approx(9 + 16 + 9)


def test_without_the_pull_it_is_separate():
    alone, pulled = run(Separate()), run(FedAMP(regularization=0.0))
    for a, b in zip(alone.clients, pulled.clients, strict=True):
        assert a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    assert alone.personal == pulled.personal and alone.accuracy == pulled.accuracy


def test_what_crosses():
    """Up: parameters, no buffer. Down: the initial model, the message and α. From: w_i itself."""
    method, finished = watched(FedAMP(**FELT), "finish")
    history, initial = run(method), Weights.of(network())
    assert len(finished) == 9
    for call in finished:
        task, (_, update) = call.given[0], call.result
        assert task.start is task.state.get("weights", task.received.weights)
        assert same(task.received.weights, initial)
        assert task.received.extra.keys() == {"u", "alpha"}
        assert task.received.extra["u"].params.keys() == initial.params.keys()
        assert update.weights.params.keys() == initial.params.keys()
        assert not (task.received.extra["u"].buffers or update.weights.buffers or update.extra)
    assert same(history.weights, initial) and len(set(history.accuracy)) == 1
    means = [history.clients[i]["weights"].buffers["1.running_mean"] for i in (0, 1)]
    assert not torch.equal(*means)


def test_the_server_remembers_who_is_not_selected():
    method = FedAMP(alpha=2.0, sigma=4.0, decay=1.0)
    server = method.server_state(scalar(1.0))
    assert method.answer(server, 5).extra["u"].params["w"].item() == 1.0
    models = {"w.0": scalar(3.0), "w.7": scalar(1.0)}
    server = Server(server.weights, {**server.extra, **models})
    near = 0.5 * math.exp(-1)  # 2/4 e^(−4/4)
    answers = {number: method.answer(server, number).extra["u"] for number in (0, 7, 5)}
    assert answers[0].params["w"].item() == pytest.approx(3 - 2 * near)
    assert answers[7].params["w"].item() == pytest.approx(1 + 2 * near)
    # A client never selected is still at the initial 1, beside clients 0 and 7.
    assert answers[5].params["w"].item() == pytest.approx(1 + 2 * near)
    history = run(FedAMP(**FELT), rounds=4, client_fraction=0.3)
    chosen = {number for turn in range(4) for (number,) in [select([0, 1, 3], 0.3, 0, turn)]}
    assert len(chosen) > 1
    assert history.server.extra.keys() == {"alpha"} | {f"w.{number}" for number in chosen}
    for number in chosen:
        kept = history.clients[number]["weights"]
        assert same(history.server.extra[f"w.{number}"], Weights(kept.params, {}))


MUTATIONS = (
    (
        "a client starts from its message",
        'state.get("weights", received.weights)',
        'state.get("weights", received.weights) | received.extra["u"]',
    ),
    ("it is pushed away", "torch._foreach_sub(w, u)", "torch._foreach_sub(u, w)"),
    (
        "the pull is lost, as if of detached weights",
        "torch._foreach_add_(gradients, torch",
        "torch._foreach_add([*gradients], torch",
    ),
    ("half the pull", "self.regularization / scale", "self.regularization / 2 / scale"),
    ("no guard for the own share", "max(0.0, 1 - sum(shares))", "1 - sum(shares)"),
    ("no guard for the peers' shares", "share / excess for", "share for"),
    ("the guard shortens the message alone", '"alpha": alpha / excess', '"alpha": alpha'),
    ("the pull is explicit", "alpha + task.now.training.rate * self.regularization", "alpha"),
    ("the step is not shortened", "torch._foreach_mul_(gradients, own)", "pass"),
    ("distances are not squared", ".square().sum()", ".sum()"),
    ("attention without 1/σ", "alpha / self.sigma * math.exp", "alpha * math.exp"),
    ("attention to the unlike", "math.exp(-d / self.sigma)", "math.exp(d / self.sigma)"),
    ("a client is its own peer", 'models.pop(f"w.{client}"', 'models.get(f"w.{client}"'),
    ("α decays a round late", "self._alpha(now.number + 1)", "self._alpha(now.number)"),
    (
        "who is not selected is forgotten",
        '{**server.extra, **sent, "alpha": alpha}',
        '{**sent, "alpha": alpha}',
    ),
    ("buffers are sent", "Update(Weights(trained.params, {}), ", "Update(trained, "),
)
