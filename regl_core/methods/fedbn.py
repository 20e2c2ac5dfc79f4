"""FedBN."""

from collections.abc import Callable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .partial import PartlyLocal, layer


class FedBN(PartlyLocal):
    """x ← Σ p_i y_i for all layers but BatchNorm; client i goes on from x with its own BatchNorm.

    Li, Jiang, Zhang, Kamp, Dou, "FedBN: Federated learning on non-IID features via local batch
    normalization", 2021, Algorithm 1 (Appendix C). Weight, bias, running mean, running variance and
    count of batches of every BatchNorm stay with the client. There are no hyper-parameters.

    Deviations. The authors' code keeps what has "bn" in its name: here BatchNorm is found by the
    type of the module, for ResNets have a norm called ``downsample.1``. Paper and code average
    with equal weights: here the rest is weighted by sample count, as in all methods.

    The global model's BatchNorm stays the initial one, as in the authors' code, since no client
    ever sends its own. Hence only personal models are of use: the global model's accuracy is that
    of a network with wrong statistics, and so is a client's before it is first selected. For
    clients from outside the authors advise averaged BatchNorm or statistics estimated anew, and
    the method has neither.

    A client keeps its BatchNorm layers: 0.002 of a ResNet34. One without images keeps none. One
    with a single image has running statistics of that image, which its batches hold twice.
    """

    name = "FedBN"

    def local(self, net: nn.Module) -> Callable[[str], bool]:
        norms = norm_layers(net)
        return lambda name: layer(name) in norms


def norm_layers(net: nn.Module) -> set[str]:
    """Names of the BatchNorm layers of any dimension."""
    return {name for name, module in net.named_modules() if isinstance(module, _BatchNorm)}
