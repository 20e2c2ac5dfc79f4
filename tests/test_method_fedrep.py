"""FedRep: the head first and never sent, then the body, averaged."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from method_cases import DATA, SPLITS, run
from torch import nn
from toy_clients import client, network, settings

from regl_core.clients import ClientData
from regl_core.errors import ReglError
from regl_core.evidence.identities import gap
from regl_core.federation import federate, select
from regl_core.methods.fedrep import FedRep, head
from regl_core.models import build
from regl_core.training import batches, evaluate
from regl_core.weights import Weights, mean

HEAD = {"5.weight", "5.bias"}


def of_body(weights):
    return weights.select(lambda name: name not in HEAD)


def of_head(weights):
    return weights.select(lambda name: name in HEAD)


def plain_round(net, data, number, turn, body_epochs, epochs=3):
    """Head, then body, written out: gradients of the moving parameters only, SGD by hand."""
    net.train()
    named = dict(net.named_parameters())
    phases = [(epochs - body_epochs, HEAD), (body_epochs, named.keys() - HEAD)]
    done = 0
    for share, moving in phases:
        speed = {}
        for _ in range(share):
            for index in batches(data, 4, 0, "batches", number, turn, done):
                loss = F.cross_entropy(net(data.images[index]), data.labels[index])
                chosen = [name for name in named if name in moving]
                gradients = torch.autograd.grad(loss, [named[name] for name in chosen])
                with torch.no_grad():
                    for name, gradient in zip(chosen, gradients, strict=True):
                        gradient = gradient + 1e-3 * named[name]
                        speed[name] = 0.9 * speed[name] + gradient if name in speed else gradient
                        named[name] -= 0.1 * speed[name]
            done += 1


@pytest.mark.parametrize("fraction,body_epochs", [(1.0, 1), (0.6, 2)])
def test_all_rounds_by_hand(fraction, body_epochs):
    changes = {"client_fraction": fraction, "local_epochs": 3}
    history = run(FedRep(body_epochs=body_epochs), **changes)
    nets = {number: network() for number in (0, 1, 3)}
    for turn in range(3):
        chosen = select([0, 1, 3], fraction, 0, turn)
        for number in chosen:
            plain_round(nets[number], DATA[number], number, turn, body_epochs)
        counts = [len(DATA[number]) for number in chosen]
        bodies = [of_body(Weights.of(nets[number])) for number in chosen]
        body = mean(bodies, [count / sum(counts) for count in counts])
        for number, net in nets.items():
            (Weights.of(net) | body).into(net)
            assert history.personal[turn][number] == evaluate(net, SPLITS[number])
    assert gap(of_body(history.weights), body) < 1e-6
    for number, net in nets.items():
        own = of_head(Weights.of(net))
        assert gap(history.clients[number].get("own", own), own) < 1e-6


def test_one_round_of_two_linear_clients_by_hand():
    """f(x) = h φ x and the loss (f(x) − y)²/2, from φ = 2 and h = 1/2, in steps of 1/10."""

    class Squared(FedRep):
        name = "squared"

        def loss(self, net, images, labels, context):
            return 0.5 * (net(images).squeeze(1) - labels).square().mean()

    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    nn.init.constant_(net[0].weight, 2.0)
    nn.init.constant_(net[1].weight, 0.5)
    two = [ClientData(torch.ones(1, 1), torch.tensor([2.0]))]
    two.append(ClientData(torch.ones(3, 1), torch.full((3,), -1.0)))
    training = settings(rounds=1, momentum=0.0, weight_decay=0.0)
    test = ClientData(torch.ones(1, 1), torch.zeros(1))
    history = federate(Squared(), net, two, test, training, seed=0)
    # First client: error 1 − 2 = −1, h = 0.5 + 0.1 · 1 · 2 = 0.7; error 1.4 − 2 = −0.6,
    # φ = 2 + 0.1 · 0.6 · 0.7 = 2.042. Second: error 1 + 1 = 2, h = 0.5 − 0.1 · 2 · 2 = 0.1;
    # error 0.2 + 1 = 1.2, φ = 2 − 0.1 · 1.2 · 0.1 = 1.988. Weights of the mean: 1/4 and 3/4.
    heads = [state["own"].params["1.weight"].item() for state in history.clients]
    assert heads == pytest.approx([0.7, 0.1], abs=1e-6)
    assert history.weights.params["0.weight"].item() == pytest.approx(2.0015, abs=1e-6)
    assert history.weights.params["1.weight"].item() == 0.5


def test_what_moves_when():
    moving, running, seen = [], [], []

    class Watched(FedRep):
        name = "watched"

        def correct(self, net, context):
            moving.append({name for name, p in net.named_parameters() if p.grad is not None})
            running.append(net[1].running_mean.clone())

        def finish(self, task, trained, steps):
            seen.append(all(p.requires_grad for p in task.now.net.parameters()))
            return super().finish(task, trained, steps)

    run(Watched(), data=[client(5)], rounds=1, local_epochs=3)
    body = {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert moving == [HEAD] * 4 + [body] * 2 and seen == [True]
    # Running statistics follow the images while the body's parameters rest.
    assert all(not torch.equal(a, b) for a, b in pairwise(running))


@pytest.mark.parametrize("epochs,body_epochs", [(1, 1), (5, 5), (3, 4)])
def test_without_an_epoch_for_the_head_it_says_so(epochs, body_epochs):
    with pytest.raises(ReglError, match=f"'FedRep'.*fewer than training.local_epochs = {epochs}"):
        run(FedRep(body_epochs=body_epochs), local_epochs=epochs)
    with pytest.raises(ReglError, match="body_epochs: given 0"):
        FedRep(body_epochs=0)


def test_the_head_is_the_last_layer():
    for kind, width in (("resnet_small", 8), ("resnet34", 64)):
        net = build(kind, 3, width, 64, 0)
        assert head(net) == "fc"
        own, rest = (phase.params for phase in FedRep().phases(net, settings()))
        assert own == {"fc.weight", "fc.bias"}
        assert own | rest == {name for name, _ in net.named_parameters()} and not own & rest
    assert head(network()) == "5" and head(network(norm=False)) == "5"


# What is kept and sent: `test_method_partial`.
MUTATIONS = (
    (
        "the body first",
        "Phase(head_epochs, own), Phase(self.body_epochs, names - own)",
        "Phase(self.body_epochs, names - own), Phase(head_epochs, own)",
    ),
    (
        "the head moves with the body",
        "Phase(self.body_epochs, names - own)",
        "Phase(self.body_epochs)",
    ),
    ("the body moves with the head", "Phase(head_epochs, own)", "Phase(head_epochs)"),
    (
        "more epochs than other methods",
        "training.local_epochs - self.body_epochs",
        "training.local_epochs",
    ),
    ("the body is kept", "layer(name) == last", "layer(name) != last"),
    ("the head is the first layer", "*_, last = (", "last, *_ = ("),
)
