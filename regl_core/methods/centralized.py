"""Centralized training."""

from .fedavg import FedAvg


class Centralized(FedAvg):
    """SGD on the union of all clients' real images, for as many epochs in total as FedAvg.

    FedAvg whose single client holds everything: run it on the partition `Pooled`. The paper's
    upper reference (Table 2, †). Each round of epochs starts with a fresh optimiser, which makes a
    difference with momentum only. Clients without images add nothing to the union.
    """

    name = "Centralized"
