"""Fine-tuning on a client's own data, and the two accuracies made of it."""

import math

import pytest
import torch
import torch.nn.functional as F
from toy_clients import client, clients, network, same, settings

from regl_core.clients import ClientData
from regl_core.errors import ReglError
from regl_core.params import PersonalizationSettings
from regl_core.personalization import of_own_classes, personalize
from regl_core.runs import PersonalResult
from regl_core.seeds import torch_generator
from regl_core.training import evaluate
from regl_core.weights import Weights

TUNING = PersonalizationSettings(epochs=3, rate=0.05, synthetic="own")
GLOBAL = Weights.of(network(seed=1))
TEST, EMPTY = client(6, seed=7), client(0)


def tuned(data, client=2, net=None):
    """The curve and the weights of a client; those before it are empty."""
    net, own = net or network(), [EMPTY] * client + [data]
    curves = personalize(net, GLOBAL, own, [TEST] * len(own), TUNING, settings(), 5)
    return curves[-1], Weights.of(net)


def test_fine_tuning_is_sgd_from_the_global_weights():
    data, net = client(10), network(seed=1)
    accuracy = []
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    for epoch in range(3):
        net.train()
        order = torch.randperm(10, generator=torch_generator(5, "fine-tuning", 2, epoch))
        for index in order.split(4):
            optimizer.zero_grad()
            F.cross_entropy(net(data.images[index]), data.labels[index]).backward()
            optimizer.step()
        accuracy.append(evaluate(net, TEST))
    curve, weights = tuned(data)
    assert curve == tuple(accuracy)
    assert same(weights, Weights.of(net))


def test_synthetic_images_of_other_classes_go():
    labels = torch.tensor([2, 0, 0, 1, 2, 0, 1])  # three real ones, of classes 2 and 0
    images = torch.arange(7.0).reshape(7, 1, 1, 1)
    kept = of_own_classes(ClientData(images, labels), real=3)
    assert kept.labels.tolist() == [2, 0, 0, 2, 0]
    assert kept.images.flatten().tolist() == [0, 1, 2, 4, 5]
    assert not len(of_own_classes(ClientData(images, labels), real=0))


def test_a_used_workspace_gives_the_same_result():
    net, data = network(), client(10)
    (curve, first), (other, second) = tuned(data, net=net), tuned(data, net=net)
    assert curve == other and same(first, second)
    assert not same(first, tuned(data, net=net, client=3)[1])


def test_clients_without_training_or_test_images_are_left_out_and_counted():
    data = [*clients(5, 9), EMPTY, client(4)]
    tests = [TEST, TEST, TEST, EMPTY]
    fractions = []
    results = personalize(network(), GLOBAL, data, tests, TUNING, settings(), 5, fractions.append)
    assert [result is None for result in results] == [False, False, True, True]
    assert PersonalResult(None, results).personal.left_out == 2
    assert fractions == [0.25, 0.5, 0.75, 1.0]
    assert results[1] == tuned(data[1], client=1)[0]


def test_best_epoch_per_client_beside_the_last():
    curves = ((40.0, 60.0, 50.0), None, (80.0, 20.0, 30.0))
    personal = PersonalResult(None, curves).personal
    assert (personal.best, personal.last) == (70.0, 40.0)
    assert personal.left_out == 1


def test_nobody_to_personalise_is_an_error():
    with pytest.raises(ReglError, match="none of the 2 clients"):
        _ = PersonalResult(None, (None, None)).personal


def test_a_client_that_has_diverged_has_no_best():
    personal = PersonalResult(None, ((50.0, math.nan), (60.0, 70.0))).personal
    assert math.isnan(personal.best) and math.isnan(personal.last)
