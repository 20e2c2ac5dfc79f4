"""The round loop: resuming, selection, empty clients, small batches, what is recorded."""

import math
from dataclasses import replace

import pytest
import torch
from method_cases import watched
from torch import Tensor
from toy_clients import assert_same, client, clients, network, same, settings
from toy_kills import keeping, survived

from regl_core import federation
from regl_core.clients import ClientData
from regl_core.errors import ReglError
from regl_core.federation import FederationCheckpoint, federate, select
from regl_core.methods import FedAvg
from regl_core.methods.dynafed import DynaFed
from regl_core.methods.fedbn import FedBN
from regl_core.methods.fedrep import FedRep
from regl_core.methods.moon import Moon
from regl_core.methods.scaffold import Scaffold
from regl_core.weights import Weights, combine

TEST = client(12, seed=99)
DATA = clients(5, 9, 0, 3)


def run(
    method=None,
    checkpoint=None,
    tick=lambda fraction: None,
    data=DATA,
    net=None,
    after_round=lambda state: None,
    **changes,
):
    how = settings(**({"client_fraction": 0.7, "momentum": 0.0} | changes))
    return federate(
        method or FedAvg(),
        net or network(),
        data,
        TEST,
        how,
        0,
        tick,
        checkpoint,
        data,
        after_round,
    )


# What is kept between rounds differs: nothing, at both sides, at the client, at the server.
STATEFUL = [
    FedAvg(),
    Scaffold(),
    FedBN(),
    FedRep(),
    Moon(projection_size=4),
    DynaFed(trajectory=2, segment=1, averaged=1, images_per_class=1, inner_steps=1, iterations=2),
]


@pytest.mark.parametrize("method", STATEFUL, ids=lambda m: m.name)
def test_a_federation_killed_after_every_save_repeats_nothing(method, tmp_path):
    once, again = (tmp_path / name for name in ("once", "again"))
    with keeping(deadly=False) as saves:
        whole = run(method, FederationCheckpoint(once, "progress"), momentum=0.9)
    assert_same(whole, run(method, momentum=0.9))
    with keeping(deadly=True) as kills:
        assert_same(
            survived(lambda: run(method, FederationCheckpoint(again, "progress"), momentum=0.9)),
            whole,
        )
    # Two clients in each of three rounds: two epochs each and a turn; and the round.
    assert len(kills) == len(saves) >= 3 * (2 * 3 + 1)


def test_a_finished_federation_is_read_from_its_checkpoint(tmp_path):
    method, trained = watched(FedAvg(), "finish")
    checkpoint = FederationCheckpoint(tmp_path, "progress", every=0.0)
    first = run(method, checkpoint)
    turns = len(trained)
    assert same(run(method, checkpoint).weights, first.weights) and len(trained) == turns


def test_each_round_is_told_once_and_where_it_goes_on(tmp_path):
    checkpoint, told = FederationCheckpoint(tmp_path, "progress", every=0.0), []
    whole = run(checkpoint=checkpoint, after_round=lambda state: told.append(state.accuracy))
    assert told == [whole.accuracy[:rounds] for rounds in (1, 2, 3)]
    run(checkpoint=checkpoint, after_round=lambda state: told.append(state.accuracy))
    assert told[3:] == [whole.accuracy]


def test_a_damaged_checkpoint_is_left_aside_with_a_warning(tmp_path):
    checkpoint = FederationCheckpoint(tmp_path, "progress", every=0.0)
    whole = run(checkpoint=checkpoint)
    (file,) = tmp_path.rglob("progress.pt")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="damaged"):
        again = run(checkpoint=checkpoint)
    assert same(again.weights, whole.weights)


def test_selection_is_a_share_of_those_with_data():
    assert select([0, 1, 3], 1.0, 0, 0) == [0, 1, 3]
    drawn = [select(range(20), 0.25, 0, number) for number in range(50)]
    assert all(len(set(d)) == 5 and d == sorted(d) for d in drawn)
    assert len({tuple(d) for d in drawn}) > 40
    assert {client for d in drawn for client in d} == set(range(20))
    assert drawn[3] == select(range(20), 0.25, 0, 3)
    assert len(select([4, 7], 0.01, 0, 0)) == 1


def test_no_data_at_all_is_an_error():
    with pytest.raises(ReglError, match="none of the 2 clients"):
        run(data=[client(0), client(0)])
    with pytest.raises(ReglError, match="no test images"):
        federate(FedAvg(), network(), DATA, client(0), settings(), 0)


def test_images_without_labels_are_an_error():
    with pytest.raises(ReglError, match="2 images have 1 labels"):
        ClientData(torch.zeros(2, 3, 4, 4), torch.zeros(1, dtype=torch.int64))


def test_steps_count_partial_batches():
    seen = {}

    class Watched(FedAvg):
        name = "watched"

        def finish(self, task, trained, steps):
            seen[task.count] = steps
            return super().finish(task, trained, steps)

    run(Watched(), client_fraction=1.0)
    assert seen == {5: 2 * 2, 9: 2 * 3, 3: 2 * 1}  # two epochs in batches of four


def test_batchnorm_counts_its_batches_as_an_integer():
    count = run(rounds=1, client_fraction=1.0).weights.buffers["1.num_batches_tracked"]
    assert count.dtype == torch.int64 and count.item() == 6  # the largest of 4, 6 and 2


def test_progress_rises_to_one():
    fractions = []
    run(tick=fractions.append)
    assert fractions == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0])


def test_weights_of_another_network_are_refused():
    weights = Weights.of(network())
    with pytest.raises(ReglError, match=r"'1\.weight'|'1\.bias'"):
        Weights(weights.params, weights.buffers).into(network(norm=False))
    narrow = weights | Weights({"5.bias": torch.zeros(1)}, {})
    with pytest.raises(ReglError, match=r"'5\.bias'"):
        narrow.into(network())


def test_a_batch_too_large_is_told(monkeypatch):
    def failing(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to")

    monkeypatch.setattr(federation, "local_sgd", failing)
    with pytest.raises(ReglError, match=r"lower training\.batch_size \(now") as raised:
        run()
    assert str(raised.value).endswith("(CUDA out of memory.)")


def test_other_errors_of_training_pass(monkeypatch):
    def failing(*arguments):
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(federation, "local_sgd", failing)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        run()


def test_what_has_diverged_has_no_accuracy():
    state = run(rate=1e30, rounds=3)
    assert math.isnan(state.accuracy[-1])


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (lambda sent: replace(sent, count=10**12), "sent a count of 1000000000000"),
        (lambda sent: replace(sent, weights=combine(lambda it: it[:1], sent.weights)), "has \\("),
        (lambda sent: replace(sent, weights=combine(Tensor.double, sent.weights)), "as .*float64"),
        (lambda sent: replace(sent, weights=Weights({"own": torch.ones(2)}, {})), "no such weight"),
    ],
)
def test_the_server_refuses_what_a_client_makes_up(lie, told):
    class Liar(FedAvg):
        name = "Liar"

        def finish(self, task, trained, steps):
            state, sent = super().finish(task, trained, steps)
            return state, lie(sent)

    with pytest.raises(ReglError, match=told):
        run(Liar())
