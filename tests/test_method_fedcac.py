"""FedCAC: τ = 0 is FedAvg, one round by hand, overlaps and peers, personal models."""

from fractions import Fraction
from functools import partial

import method_cases
import pytest
import torch
from method_cases import ONE_STEP, SPLITS, TEST, watched
from torch import nn
from toy_clients import clients, network, same, settings, tensors

from regl_core.clients import ClientData
from regl_core.federation import federate
from regl_core.methods import FedAvg, Round, Server, Update
from regl_core.methods.fedcac import FedCAC, overlap
from regl_core.training import evaluate
from regl_core.weights import Weights

DATA = clients(5, 9, 7)
run = partial(method_cases.run, data=DATA)


def vector(*values) -> Weights:
    return Weights({"w": torch.tensor(values)}, {})


def mask(text: str) -> Weights:
    return vector(*(sign == "1" for sign in text))


def aggregated(masks: list[str], number: int, beta: float, values=None) -> Server:
    """The server after round `number`, whose client i sent the mask and the weight 10^i."""
    values = values or [10.0**i for i in range(len(masks))]
    updates = {
        i: Update(vector(*[values[i]] * len(text)), 1, {"critical": mask(text)})
        for i, text in enumerate(masks)
    }
    now = Round(number, 0, nn.Identity(), settings(), len(masks), (1,))
    start = Server(vector(*[0.0] * len(masks[0])), {})
    return FedCAC(beta=beta).aggregate(start, updates, now)


def custom(server: Server) -> list[float]:
    """The weight each client's peers agree on: 10^i for i alone, 5.5 for 0 and 1, and so on."""
    count = len(server.extra)
    return [server.extra[f"custom.{i}"].params["w"][0].item() for i in range(count)]


@pytest.mark.parametrize("fraction", [1.0, 0.7])
def test_without_critical_parameters_it_is_fedavg(fraction):
    none, fedavg = (run(m, client_fraction=fraction) for m in (FedCAC(tau=0.0), FedAvg()))
    assert same(none.weights, fedavg.weights)
    assert none.accuracy == fedavg.accuracy and none.personal == fedavg.personal


def test_one_round_of_two_clients_by_hand():
    """From W = 0, p = ½: a step of rate 1 adds ½·x to the row of the label, −½·x to the other.

    Client 0, x = (2, 1) of class 0, sends [[1, ½], [−1, −½]]; client 1, three times (1, 4) of
    class 1, sends [[−½, −2], [½, 2]]. c = W²: the first column is critical for client 0, the
    second for client 1. Both overlaps are 0, hence the threshold is 0 and both are peers.
    u = half the sum [[¼, −¾], [−¼, ¾]]; x by ¼ and ¾ [[−⅛, −1⅜], [⅛, 1⅜]].
    """
    net = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(net.weight)
    two = [
        ClientData(torch.tensor([[2.0, 1.0]]), torch.tensor([0])),
        ClientData(torch.tensor([[1.0, 4.0]] * 3), torch.tensor([1, 1, 1])),
    ]
    training = settings(**ONE_STEP, rate=1.0)
    method = FedCAC()
    history = federate(method, net, two, two[1], training, 0)

    def start(number):
        answer = method.answer(history.server, number)
        return method.start(answer, history.clients[number]).params["weight"].flatten().tolist()

    critical = [state["critical"].params["weight"].tolist() for state in history.clients]
    assert critical == [[[True, False]] * 2, [[False, True]] * 2]
    shared = history.weights.params["weight"].flatten().tolist()
    assert shared == pytest.approx([-1 / 8, -11 / 8, 1 / 8, 11 / 8], abs=1e-6)
    assert start(0) == pytest.approx([1 / 4, -11 / 8, -1 / 4, 11 / 8], abs=1e-6)
    assert start(1) == pytest.approx([-1 / 8, -3 / 4, 1 / 8, 3 / 4], abs=1e-6)


def test_critical_are_those_that_moved_much_and_are_large():
    """c = |(w⁺ − w)·w⁺|: 1·3, 2·2, 0·9, −1·1, 4·0.5, 0.1·10."""
    after = torch.tensor([3.0, 2.0, 9.0, -1.0, 0.5, 10.0])
    before = torch.tensor([2.0, 0.0, 9.0, 0.0, 4.5, 9.9])

    def found(tau):
        return FedCAC(tau=tau).critical(before, after).nonzero().flatten().tolist()

    assert found(0.0) == [] == found(0.16)  # less than one of six
    assert found(1 / 6) == [1] and found(0.34) == [0, 1]
    assert found(0.5) == [0, 1, 4]
    assert found(1.0) == [0, 1, 3, 4, 5]  # what stayed is never critical
    # The authors' code would take all that moved: c is below 1e-10.
    assert FedCAC().critical(before * 1e-8, after * 1e-8).tolist() == [1, 1, 0, 0, 1, 0]
    assert not FedCAC().critical(after, after).any()
    assert not FedCAC().critical(torch.ones(1), torch.zeros(1)).any()  # moved to zero


def test_overlap_by_hand():
    """Masks of three, two and one: what they differ in, by twice the size of the first."""
    found = overlap({0: mask("1110"), 1: mask("0110"), 2: mask("0001")})
    assert found == {
        (0, 1): 1 - Fraction(1, 6),
        (1, 0): 1 - Fraction(1, 4),
        (0, 2): 1 - Fraction(4, 6),
        (2, 0): 1 - Fraction(4, 2),
        (1, 2): 1 - Fraction(3, 4),
        (2, 1): 1 - Fraction(3, 2),
    }
    assert overlap({0: mask("00"), 1: mask("11")}) == {(0, 1): 0, (1, 0): Fraction(1, 2)}
    assert overlap({4: mask("11")}) == {}
    two = {i: Weights({**mask("10").params, "v": torch.tensor([[True]])}, {}) for i in (0, 1)}
    assert overlap(two) == {(0, 1): 1, (1, 0): 1}


def test_peers_become_fewer_by_the_round():
    """Overlaps: ½ of 0 with 1 and of 1 with 2, 0 of 0 with 2; mean ⅓, largest ½.

    The threshold is ⅓ + (t + 1)/β · ⅙, which is ½ at t + 1 = β and more afterwards.
    """
    masks = ["1100", "0110", "0011"]
    for number in (0, 1, 2):
        values = custom(aggregated(masks, number, beta=3.0))
        assert values == pytest.approx([11 / 2, 111 / 3, 110 / 2])
    assert custom(aggregated(masks, 3, beta=3.0)) == [1, 10, 100]
    # Overlaps: ¾ of 0 and 1, ¼ of either with 2, which is below their mean.
    masks = ["11110000", "11101000", "10000111"]
    assert custom(aggregated(masks, 0, beta=100.0)) == pytest.approx([11 / 2, 11 / 2, 100])


def test_the_threshold_by_hand():
    method = FedCAC(beta=100.0)
    overlaps = [Fraction(1, 5), Fraction(2, 5), Fraction(3, 5)]
    assert method.threshold(overlaps, 0) == Fraction(2, 5) + Fraction(1, 500)
    assert method.threshold(overlaps, 49) == Fraction(1, 2)
    assert method.threshold(overlaps, 99) == Fraction(3, 5)
    assert method.threshold(overlaps, 199) == Fraction(4, 5)


@pytest.mark.parametrize("count", [2, 3, 6])
@pytest.mark.parametrize("number", [0, 16, 500])
def test_clients_equally_alike_are_all_peers_in_every_round(count, number):
    """One critical parameter of five in common: in floating point 1/5 is more than that."""
    own = ["0" * 4 * i + "1111" + "0" * 4 * (count - 1 - i) for i in range(count)]
    values = [float(i) for i in range(count)]
    server = aggregated(["1" + text for text in own], number, beta=17.0, values=values)
    assert custom(server) == pytest.approx([sum(values) / count] * count)


def test_personal_accuracy_is_that_of_critical_and_shared_parameters_together():
    method, aggregated = watched(FedCAC(), "aggregate")
    history, sent = run(method, rounds=2), aggregated[-1].given[1]
    masks = {i: update.extra["critical"] for i, update in sent.items()}
    overlaps = overlap(masks)
    average, largest = sum(overlaps.values()) / 6, max(overlaps.values())
    sizes = set()
    for i, split in enumerate(SPLITS[:3]):
        peers = [
            j for j in range(3) if i == j or overlaps[i, j] >= average + (largest - average) / 50
        ]
        sizes.add(len(peers))
        net = network(seed=7)
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                own = sum(sent[j].weights.params[name] for j in peers) / len(peers)
                shared = sum(u.count / 21 * u.weights.params[name] for u in sent.values())
                parameter.copy_(torch.where(masks[i].params[name], own, shared))
            for name, buffer in net.named_buffers():
                buffer.copy_(sent[i].weights.buffers[name])
        method = FedCAC()
        start = method.start(method.answer(history.server, i), history.clients[i])
        expected = Weights.of(net)
        for name, tensor in tensors(start).items():
            assert torch.allclose(tensor, tensors(expected)[name], atol=1e-6)
        start.into(net)
        assert evaluate(net, split) == history.personal[-1][i]
    assert len(sizes) > 1  # not everybody is everybody's peer
    global_net = network()
    history.weights.into(global_net)
    assert evaluate(global_net, TEST) == history.accuracy[-1]


def test_running_statistics_are_the_clients_own_and_averaged_in_the_global_model():
    history, method = run(FedCAC(), rounds=1), FedCAC()
    fedavg = run(FedAvg(), rounds=1).weights
    seen = []
    for i, state in enumerate(history.clients):
        start = method.start(method.answer(history.server, i), state)
        seen.append(start.buffers["1.running_mean"])
        assert same(state["statistics"], Weights({}, start.buffers))
        assert not torch.equal(seen[-1], history.weights.buffers["1.running_mean"])
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(history.weights.buffers["1.running_mean"], fedavg.buffers["1.running_mean"])
    none = run(FedCAC(tau=0.0), rounds=1)
    assert all(not state["statistics"].buffers for state in none.clients)


def test_a_client_not_selected_keeps_what_is_critical_and_follows_the_rest():
    before, after = (run(FedCAC(), client_fraction=0.7, rounds=rounds) for rounds in (1, 2))
    method, seen = FedCAC(), 0
    for i in range(3):
        old, new = before.clients[i], after.clients[i]
        if not old or not same(old["critical"], new["critical"]):
            continue
        seen += 1
        assert same(before.server.extra[f"custom.{i}"], after.server.extra[f"custom.{i}"])
        starts = [
            method.start(method.answer(history.server, i), history.clients[i])
            for history in (before, after)
        ]
        for name, critical in new["critical"].params.items():
            one, other = (start.params[name] for start in starts)
            assert torch.equal(one[critical], other[critical])
            rest = after.weights.params[name][~critical]
            assert torch.equal(other[~critical], rest)
            assert not len(rest) or not torch.equal(one[~critical], rest)
        assert all(torch.equal(starts[0].buffers[n], t) for n, t in starts[1].buffers.items())
    assert seen


def test_a_client_sees_no_custom_model_but_its_own():
    history = run(FedCAC(), rounds=1)
    for i in range(3):
        answer = FedCAC().answer(history.server, i)
        assert set(answer.extra) == {"custom"}
        assert answer.extra["custom"] is history.server.extra[f"custom.{i}"]


def test_sensitivity_is_measured_from_where_the_client_started():
    """In the second round that is its own mixed start, not the global model."""
    method, finished = watched(FedCAC(), "finish")
    run(method, rounds=2)
    for call in finished:
        (task, trained, _), (state, _) = call.given, call.result
        for name, critical in state["critical"].params.items():
            c = ((trained.params[name] - task.start.params[name]) * trained.params[name]).abs()
            assert c[critical].min() >= c[~critical].max() if critical.numel() > 1 else True
            assert critical.sum() == critical.numel() // 2


MUTATIONS = (
    ("the least sensitive are critical", "(c >= top[-1])", "(c <= top[-1])"),
    ("what stayed is critical", " & (c > 0)", ""),
    ("sensitivity forgets the weight", "(after - before) * after)", "after - before)"),
    (
        "sensitivity from the global model",
        "task.start, trained)",
        "task.received.weights, trained)",
    ),
    (
        "critical and shared parameters are swapped",
        'received.extra["custom"], received.weights)',
        'received.weights, received.extra["custom"])',
    ),
    ("statistics are averaged", ' | own | state["statistics"]', " | own"),
    ("statistics stay local at τ = 0", "trained.buffers if personal else {}", "trained.buffers"),
    ("overlap by the other's size", "sizes[pair[0]]", "sizes[pair[1]]"),
    ("overlap counts what differs twice", "Fraction(apart, 2 * size)", "Fraction(apart, size)"),
    ("an empty mask overlaps fully", "if size else Fraction(0)", "if size else Fraction(1)"),
    ("peers are those unlike", "overlaps[i, j] >= threshold", "overlaps[i, j] <= threshold"),
    ("peers exceed the threshold", "overlaps[i, j] >= threshold", "overlaps[i, j] > threshold"),
    ("a client is not its own peer", "j == i or overlaps[i, j]", "j != i and overlaps[i, j]"),
    ("rounds count from zero", "(number + 1) / Fraction", "number / Fraction"),
    ("the threshold falls", "average + (number", "average - (number"),
    ("the threshold is rounded", "average = sum(overlaps)", "average = sum(map(float, overlaps))"),
    ("the first peer alone", "params, [1 / len(peers)] * len(peers)", "params[:1], [1.0]"),
    ("those not selected are forgotten", "{**server.extra, **custom}", "custom"),
    ("all see the first custom model", 'f"custom.{client}"', '"custom.0"'),
)
