"""What every method owes: fairness, whole states, copies, exact resuming, and its entry."""

from functools import partial

import pytest
import torch
from method_cases import CASES, DATA, ODD, OWNERS, SPLITS, TEST, net_of, run, start_of, watched
from torch import nn
from toy_clients import (
    assert_same,
    client,
    clients,
    killed_and_resumed,
    network,
    same,
    same_state,
    settings,
    tensors,
)

from regl_core import methods, training
from regl_core.clients import ClientData
from regl_core.errors import ReglError
from regl_core.federation import federate
from regl_core.methods import FedAvg, Server
from regl_core.methods.scaffold import Scaffold
from regl_core.report.comparison import CONTROLS, REGL, STEPS, TUNED
from regl_core.training import evaluate
from regl_core.weights import Weights

every = pytest.mark.parametrize("method", CASES.values(), ids=CASES)


def finite(history) -> bool:
    states = (history.server.extra, *history.clients)
    parts = (history.weights, *(part for state in states for part in state.values()))
    each = (tensors(part).values() if isinstance(part, Weights) else [part] for part in parts)
    return all(tensor.isfinite().all() for own in each for tensor in own)


def same_server(first: Server, second: Server) -> bool:
    return same(first.weights, second.weights) and same_state(first.extra, second.extra)


def trained_on(method, monkeypatch) -> dict[tuple, list[list[int]]]:
    """The batches that clients train on, by the path they are drawn from."""
    orders, real = {}, training.batches

    def batches(data, size, *path):
        order = real(data, size, *path)
        if path[1] == "batches":
            orders[path] = [index.tolist() for index in order]
        return order

    monkeypatch.setattr(training, "batches", batches)
    run(method, client_fraction=0.7)
    monkeypatch.undo()
    return orders


@every
def test_every_method_trains_on_the_same_batches_for_as_many_epochs(method, monkeypatch):
    seen = trained_on(method, monkeypatch)
    assert seen == trained_on(FedAvg(), monkeypatch)
    assert len(seen) == 2 * 3 * 2  # two of three clients, three rounds, two epochs


@every
def test_every_method_starts_from_the_same_model_and_leaves_it_as_it_was(method):
    """A method may build around the network, and MOON replaces its last layer."""
    net = net_of(method)
    before, own = Weights.of(net), tensors(Weights.of(method.network(net_of(method), 5)))
    first = next(iter(before.params))
    (prefix,) = (prefix for prefix in ("", "body.", "net.") if prefix + first in own)
    for name, tensor in tensors(before).items():
        if method.name != "MOON" or not name.startswith("5."):
            assert torch.equal(own[prefix + name], tensor)
    run(method, net=net)
    assert same(Weights.of(net), before) and net.training


@every
def test_odd_clients_and_sampling_are_resumable_bit_for_bit(method, tmp_path):
    sampled = partial(run, method, ODD, client_fraction=0.5)
    whole = sampled()
    assert finite(whole) and [own[2] for own in whole.personal] == [None] * 3
    for turns in (1, 4, 6):  # two clients in each of three rounds
        assert_same(killed_and_resumed(sampled, tmp_path, turns), whole)


@every
def test_randomness_is_local(method):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = run(method)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert_same(run(method), first)


@every
def test_what_is_kept_and_sent_is_a_copy(method):
    """Of the live network's tensors, which the next client trains; and it never changes."""
    kind, finished = watched(method, "finish")
    history = run(kind)
    live = {tensor.data_ptr() for tensor in finished[0].given[0].now.net.state_dict().values()}
    for call in finished:
        (state, update), (state_then, update_then) = call.result, call.then
        sent = {"sent": update.weights, **update.extra}
        assert same_state(state, state_then) and update.count == update_then.count
        assert same_state(sent, {"sent": update_then.weights, **update_then.extra})
        for part in (*state.values(), *sent.values(), history.weights):
            own = tensors(part).values() if isinstance(part, Weights) else [part]
            assert not live & {tensor.data_ptr() for tensor in own}
            assert not any(tensor.requires_grad for tensor in own)


@every
def test_the_order_of_updates_never_matters(method):
    kind, aggregated = watched(method, "aggregate")
    run(kind)
    for call in aggregated:
        server, updates, now = call.given
        backwards = dict(sorted(updates.items(), reverse=True))
        assert same_server(method.aggregate(server, backwards, now), call.result)


@every
def test_the_live_network_is_left_whole(method):
    kind, aggregated = watched(method, "aggregate")
    run(kind)
    net = aggregated[0].given[2].net
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert all(isinstance(p, nn.Parameter) for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


@every
def test_a_client_is_tested_with_what_it_would_start_from(method):
    history = run(method)
    for number, split in enumerate(SPLITS[: len(DATA)]):
        if number not in OWNERS:
            assert history.personal[-1][number] is None
            continue
        net = method.network(net_of(method), 0)
        start_of(method, history, number).into(net)
        assert history.personal[-1][number] == evaluate(net, split)
    net = method.network(net_of(method), 0)
    history.weights.into(net)
    assert history.accuracy[-1] == evaluate(net, TEST)


@every
def test_a_client_never_selected_keeps_what_it_began_with(method):
    rounds = getattr(method, "trajectory", 1)  # the least that it can do with
    history = run(method, rounds=rounds, client_fraction=0.3)
    initial = Weights.of(method.network(net_of(method), 0))
    begun = [same_state(state, method.client_state(initial)) for state in history.clients]
    assert begun.count(False) <= 1 and begun[2]
    for number in (number for number in OWNERS if begun[number]):
        net = method.network(net_of(method), 0)
        start_of(method, history, number).into(net)
        assert history.personal[-1][number] == evaluate(net, SPLITS[number])


@every
def test_an_empty_client_changes_nothing(method):
    one, other = run(method, clients(5, 9)), run(method, [*clients(5, 9), client(0)])
    assert same_server(one.server, other.server)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("name", [name for name in CASES if name != "fedalign"])
def test_small_clients(name, count):
    """One image, a last batch of one, one class; BatchNorm1d then sees a single value."""
    one_class = ClientData(client(count).images, torch.full((count,), 2))
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.BatchNorm1d(6), nn.Linear(6, 3))
    assert finite(run(CASES[name], [one_class, client(0)], net=net))


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "scaffold", "fedopt", "fedamp"])
def test_a_parameter_outside_the_loss_stays(name):
    net = network()
    net.register_parameter("aside", nn.Parameter(torch.ones(2)))
    history = run(CASES[name], clients(5, 9), net=net)
    for number in range(2):
        own = start_of(CASES[name], history, number)
        assert torch.equal(own.params["aside"], torch.ones(2))
        assert not torch.equal(own.params["0.weight"], network()[0].weight)


GENERAL = {
    *("Centralized", "FedAvg", "FedProx", "SCAFFOLD", "FedNova", "FedOpt", "MOON", "FedAlign"),
    *("DynaFed", "ReGL (TF)", "ReGL (FT)"),
}
PERSONAL = {"Separate", "FedAvg", "FedRep", "FedBN", "FedAMP", "pFedGate", "FedCAC"}
# Of each method the defaults, and values out of range.


def test_what_is_not_declared_cannot_be_sent():
    class Leaky(Scaffold):
        uploads = ()

    with pytest.raises(ReglError, match="uploads"):
        federate(Leaky(), network(), clients(5, 9), client(12), settings(), seed=0)


def test_the_registry_finds_every_method_of_the_paper():
    assert methods.known().keys() >= GENERAL | PERSONAL | set(CONTROLS)
    synthesis = {name: kind.synthesis for name, kind in methods.known().items() if kind.synthesis}
    assert synthesis == {"ReGL (TF)": "vanilla", "ReGL (FT)": "lora", STEPS: "repeated"}
    personalized = {name for name, kind in methods.known().items() if kind.personalized}
    assert personalized == {*REGL, TUNED}
    assert methods.get("FedAvg", {}) == FedAvg()
    assert set(map(type, CASES.values())) == set(methods.known().values())


def test_every_hyperparameter_says_what_it_is_and_where_it_is_from():
    for name, kind in methods.known().items():
        for parameter, field in kind.model_fields.items():
            assert field.description and ";" in field.description, (name, parameter)
            assert not field.is_required(), (name, parameter)
        if kind.candidates:
            parameter, values = kind.candidates
            assert len(values) == 4, "the same budget for each method"
            assert kind.model_fields[parameter].default in values
            for value in values:
                methods.get(name, {parameter: value})


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(ReglError, match=r"'FedAgv' is unknown \(did you mean FedAvg\?\).*ReGL"):
        methods.get("FedAgv", {})


def test_an_unknown_hyperparameter_is_named():
    with pytest.raises(ReglError, match="'FedAvg': unknown hyper-parameter 'mu', it has none"):
        methods.get("FedAvg", {"mu": 1.0})
    with pytest.raises(ReglError, match=r"'nu'.*expected one of mu"):
        methods.get("FedProx", {"nu": 1.0})
    with pytest.raises(ReglError, match="FedProx: mu: given"):
        methods.get("FedProx", {"mu": "1e-4"})
