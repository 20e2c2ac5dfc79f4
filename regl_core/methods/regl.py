"""ReGL: FedAvg on real and synthetic images (Sec. 4).

All the difference is in the data, which each client makes for itself before training.
"""

from .fedavg import FedAvg


class TrainingFree(FedAvg):
    """FedAvg on D_m ∪ S_m, with S_m from the vanilla foundation model (Sec. 4.1.1).

    A client without real images trains on its synthetic ones, and weighs as many as it has.
    """

    name = "ReGL (TF)"
    synthesis = "vanilla"
    personalized = True  # Sec. 4.2


class FineTuned(FedAvg):
    """FedAvg on D_m ∪ S_m, with S_m from the client's own LoRA-tuned model (Sec. 4.1.2).

    A client without real images has nothing to tune on: its S_m is from the vanilla model. One of
    a single class tunes on that class, and its model draws the others too.
    """

    name = "ReGL (FT)"
    synthesis = "lora"
    personalized = True  # Sec. 4.2
