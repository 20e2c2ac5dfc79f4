"""What a client and the server keep between rounds, in units of the model, as docs/extend.md says.

`bench.memory` measures the same on a ResNet34.
"""

import pytest
from toy_clients import client, settings

from regl_core import methods
from regl_core.models import build
from regl_core.weights import Weights
from tools.bench.memory import FIT, kept, size

NET = build("resnet_small", 3, 32, 16, seed=0)
# Of the images' side, as the gate of larger ones is larger than a small network.
TRIED = FIT | {"pFedGate": {"gate_side": 4}}
CLIENTS = 2
NOTHING, MODEL, PART = (0.0, 0.0), (0.98, 1.02), (1e-6, 0.1)  # least and most
KEPT = {  # by a client, by the server
    "Centralized": (NOTHING, 0),
    "FedAvg": (NOTHING, 0),
    "FedProx": (NOTHING, 0),
    "FedNova": (NOTHING, 0),
    "FedOpt": (NOTHING, 2),
    "FedAlign": (NOTHING, 0),
    "DynaFed": (NOTHING, FIT["DynaFed"]["trajectory"] - 1),
    "ReGL (TF)": (NOTHING, 0),
    "ReGL (FT)": (NOTHING, 0),
    "SCAFFOLD": (MODEL, 1),
    "Separate": (MODEL, 0),
    "FedAMP": (MODEL, CLIENTS),
    "FedRep": (PART, 0),
    "FedBN": (PART, 0),
    "pFedGate": (PART, 0),
}


def measured(name: str) -> tuple[float, float]:
    data = [client(2, seed) for seed in range(CLIENTS)]
    return kept(methods.get(name, TRIED.get(name, {})), NET, data, settings())


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept(name):
    (least, most), models = KEPT[name]
    at_client, at_server = measured(name)
    assert least <= at_client <= most
    assert at_server == pytest.approx(models, rel=0.02)


def test_moon_keeps_the_last_model_with_its_projection():
    """A tenth more than this network, a hundredth more than a ResNet34."""
    method, whole = methods.get("MOON", {}), size({"model": Weights.of(NET)})
    projected = size({"model": Weights.of(method.network(build("resnet_small", 3, 32, 16, 0), 0))})
    assert measured("MOON") == (projected / whole, 0)
    assert 1 < projected / whole < 1.2


def test_fedcac_keeps_a_boolean_mask_and_statistics():
    """A quarter of the parameters' four bytes each; the server a model of each client."""
    weights = Weights.of(NET)
    parts = [
        size({"part": one}) for one in (Weights(weights.params, {}), Weights({}, weights.buffers))
    ]
    at_client, at_server = measured("FedCAC")
    assert at_client == (parts[0] / 4 + parts[1]) / sum(parts)
    assert 0.25 < at_client < 0.26
    assert at_server == pytest.approx(CLIENTS, rel=0.02)
