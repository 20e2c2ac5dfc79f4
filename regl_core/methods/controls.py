"""Controls of ours, not in the paper: what ReGL would gain by its mere work, without its images.

A gain of ReGL over FedAvg has several causes: other images, more steps, larger weights in the
mean, and in Table 4 epochs of fine-tuning. Each control does the work without the images, so that
what ReGL gains over it is due to them. In tables they are marked, and never ranked.
"""

from ..params import PersonalizationSettings, TrainingSettings
from .fedavg import FedAvg
from .separate import Separate


class SameSteps(FedAvg):
    """FedAvg on as many images as ReGL's, so with as many steps: a client's real ones, repeated.

    A client's real images are taken in turn until there are as many as ReGL would have, real and
    synthetic. They count as often as they are there. A client without real images has none.
    """

    name = "FedAvg (same steps)"
    synthesis = "repeated"


class FineTuned(FedAvg):
    """FedAvg, then fine-tuned by each client as ReGL is, on real images alone."""

    name = "FedAvg (fine-tuned)"
    personalized = True


class SameEpochs(Separate):
    """Separate for as many epochs as ReGL's, those of its fine-tuning included."""

    name = "Separate (same epochs)"

    def schedule(
        self, training: TrainingSettings, personalization: PersonalizationSettings
    ) -> TrainingSettings:
        further = -(-personalization.epochs // training.local_epochs)
        return training.model_copy(update={"rounds": training.rounds + further})
