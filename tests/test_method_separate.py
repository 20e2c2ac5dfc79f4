"""Separate: each client alone, and nothing but a count sent."""

from method_cases import DATA, SPLITS, TEST, given, run, watched
from toy_clients import client, network, same, settings

from regl_core.federation import select
from regl_core.methods import FedAvg
from regl_core.methods.separate import Separate
from regl_core.training import Phase, evaluate, local_sgd
from regl_core.weights import Weights


def test_each_client_is_a_federation_of_one():
    together = run(Separate())
    for number in (0, 1, 3):
        alone = [data if i == number else client(0) for i, data in enumerate(DATA)]
        fedavg = run(FedAvg(), alone)
        assert same(together.clients[number]["weights"], fedavg.weights)
        own, reference = ([r[number] for r in h.personal] for h in (together, fedavg))
        assert own == reference and len(own) == 3


def test_the_same_epochs_by_hand():
    """Two of three clients a round: a client trains on, from its own weights, when selected."""
    training = settings(rounds=6, client_fraction=0.6)
    history = run(Separate(), rounds=6, client_fraction=0.6)
    for number in (0, 1, 3):
        net, expected = network(), []
        for turn in range(6):
            if number in select([0, 1, 3], 0.6, 0, turn):
                path = (0, "batches", number, turn)
                local_sgd(net, DATA[number], training, path, [Phase(2)])
            expected.append(evaluate(net, SPLITS[number]))
        assert same(history.clients[number]["weights"], Weights.of(net))
        assert [own[number] for own in history.personal] == expected


def test_nothing_but_a_count_is_sent():
    method, aggregated = watched(Separate(), "aggregate")
    history = run(method)
    for _, updates, _ in map(given, aggregated):
        assert {number: update.count for number, update in updates.items()} == {0: 5, 1: 9, 3: 3}
        for update in updates.values():
            assert not update.weights.params and not update.weights.buffers and not update.extra
    assert same(history.weights, Weights.of(network())) and not history.server.extra
    assert history.accuracy == (evaluate(network(), TEST),) * 3


MUTATIONS = (
    (
        "a client starts from the server's weights",
        'state.get("weights", received.weights)',
        "received.weights",
    ),
    ("the weights are sent", "Update(Weights({}, {}), ", "Update(trained, "),
    (
        "running statistics are not kept",
        '{"weights": trained}',
        '{"weights": task.start | Weights(trained.params, {})}',
    ),
    (
        "only the first round is kept",
        '{"weights": trained}',
        'dict(task.state) or {"weights": trained}',
    ),
    (
        "the server takes over what the first client sends",
        "        return server\n",
        "        return Server(updates[min(updates)].weights, server.extra)\n",
    ),
)
