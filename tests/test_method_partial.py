"""What a client keeps for itself: never sent, never averaged, gone on from."""

import pytest
from method_cases import CASES, DATA, OWNERS, net_of, run, start_of, watched
from toy_clients import same, tensors

from regl_core.methods.partial import layer
from regl_core.weights import Weights, mean

every = pytest.mark.parametrize(
    "method", [CASES[name] for name in ("fedbn", "fedrep", "pfedgate")], ids=lambda one: one.name
)


def split(method, weights: Weights) -> tuple[Weights, Weights]:
    """The part of the clients, and the rest."""
    own = method.local(method.network(net_of(method), 0))
    return weights.select(own), weights.select(lambda name: not own(name))


@every
def test_the_part_is_some_of_the_network(method):
    own, shared = (
        tensors(part) for part in split(method, Weights.of(method.network(net_of(method), 0)))
    )
    assert own and shared and not own.keys() & shared.keys()
    assert own.keys() | shared.keys() == method.network(net_of(method), 0).state_dict().keys()


@every
def test_it_never_leaves_its_client_and_no_mean_changes_it(method):
    kind, finished = watched(method, "finish")
    history = run(kind, client_fraction=0.6)
    assert len(finished) == 6
    kept = {}
    for call in finished:
        (_, task, trained, _), (state, update) = (None, *call.given), call.result
        own, shared = split(method, trained)
        assert state.keys() == {"own"} and same(state["own"], own)
        assert same(update.weights, shared)
        if task.client in kept:
            assert same(split(method, task.start)[0], kept[task.client])
        assert same(split(method, task.start)[1], split(method, task.received.weights)[1])
        kept[task.client] = own
    initial, rest = split(method, Weights.of(method.network(net_of(method), 0)))
    assert same(split(method, history.weights)[0], initial)
    moved = tensors(split(method, history.weights)[1])
    assert not any(moved[name].equal(tensor) for name, tensor in tensors(rest).items())
    for number in OWNERS:
        start = split(method, start_of(method, history, number))
        assert same(start[0], kept.get(number, initial))
        assert same(start[1], split(method, history.weights)[1])


@every
def test_the_rest_is_averaged_by_counts(method):
    kind, finished = watched(method, "finish")
    history = run(kind, rounds=1)
    counts = [len(DATA[number]) for number in OWNERS]
    sent = [call.result[1].weights for call in finished]
    shared = mean(sent, [count / sum(counts) for count in counts])
    assert same(split(method, history.weights)[1], shared)


def test_the_layer_of_a_weight():
    assert layer("layer1.0.bn1.weight") == "layer1.0.bn1" and layer("weight") == ""


MUTATIONS = (
    ("all is sent and averaged", "Update(shared, ", "Update(trained, "),
    (
        "running statistics are sent and averaged",
        "Update(shared, ",
        "Update(shared | Weights({}, trained.buffers), ",
    ),
    (
        "statistics that are shared are not sent",
        "Update(shared, ",
        "Update(Weights(shared.params, {}), ",
    ),
    (
        "a client starts with the global part",
        'received.weights | state.get("own", Weights({}, {}))',
        "received.weights",
    ),
    ("all weights are kept", '{"own": own}', '{"own": trained}'),
    ("statistics are not kept", '{"own": own}', '{"own": Weights(own.params, {})}'),
    ("the part is forgotten between rounds", '{"own": own}', "{}"),
)
