"""What each method keeps at a client and at the server, in units of the model (ResNet34).

Three rounds of two clients with two small images each; the largest states, in bytes, that
a checkpoint held. DynaFed records three models here: it keeps L − 1 of L until it distils.
"""

from collections.abc import Sequence

import torch
from torch import nn

from regl_core import methods, models, params
from regl_core.clients import ClientData
from regl_core.federation import FederationState, federate
from regl_core.methods import Method
from regl_core.params import TrainingSettings
from regl_core.weights import Weights

FIT = {"DynaFed": {"trajectory": 3, "iterations": 1, "segment": 2, "images_per_class": 1}}


def size(state) -> int:
    """Bytes of all tensors of a state."""
    tensors: list[torch.Tensor] = []
    for value in state.values():
        own = isinstance(value, Weights)
        tensors += [*value.params.values(), *value.buffers.values()] if own else [value]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def kept(
    method: Method, net: nn.Module, clients: Sequence[ClientData], training: TrainingSettings
) -> tuple[float, float]:
    """The most that one client keeps, and the server, in units of `net`."""
    own, server = [0], [0]

    def after_round(state: FederationState) -> None:
        own.extend(map(size, state.clients))
        server.append(size(state.server.extra))

    federate(method, net, clients, clients[0], training, 0, after_round=after_round)
    unit = size({"model": Weights.of(net)})
    return max(own) / unit, max(server) / unit


def main() -> None:
    torch.set_num_threads(1)
    few = {"training.rounds": 3, "training.report_rounds": 1, "training.local_epochs": 2}
    settings = params.load(
        "paper", few | {"training.device": "cpu", "training.precision": "float32"}
    ).training
    net = models.build("resnet34", 10, 64, 64, seed=0)
    unit = size({"model": Weights.of(net)})
    data = [ClientData(torch.randn(2, 3, 64, 64), torch.tensor([0, 1])) for _ in range(2)]
    print(f"in units of the model, {unit / 2**20:.0f} MiB: method, each client, server")
    for name in methods.known():
        client, server = kept(methods.get(name, FIT.get(name, {})), net, data, settings)
        print(f"{name:12} {client:8.4f} {server:8.4f}")


if __name__ == "__main__":
    main()
