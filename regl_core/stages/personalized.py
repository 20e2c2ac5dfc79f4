"""Personalisation of a trained global model (Sec. 4.2, 5.1)."""

import json
from dataclasses import dataclass
from pathlib import Path

from ..engine import Checkpoint, Stage
from ..params import PersonalizationSettings
from ..personalization import of_own_classes, personalize
from .inputs import Tick
from .trained import Trained, final, network, tests


@dataclass(frozen=True)
class Personalized(Stage):
    """Every client fine-tunes the global model. Writes personal.json.

    A client trains on its real images and, by ``settings.synthetic``, the synthetic ones of its
    own classes (Appendix B) or all of them (Algorithm 1). It is tested on its share of the test
    set, split as the training set is (Sec. 5.1).
    personal.json: of each client the accuracy after every epoch in percent, or null, as
    `Trained` writes them after every round.
    """

    trained: Trained
    settings: PersonalizationSettings

    def needs(self) -> tuple[Stage, ...]:
        return self.trained, *self.trained.needs()

    def compute(self, folder: Path, inputs: tuple[Path, ...], tick: Tick) -> None:
        trained, *synthetic = inputs
        how = self.trained
        dataset = how.source.load()
        net = network(dataset, how.training, how.seed)
        data = how.clients(dataset, tuple(synthetic))
        if self.settings.synthetic == "own":
            real = map(len, how.parts)
            data = [of_own_classes(one, count) for one, count in zip(data, real, strict=True)]
        curves = personalize(
            net,
            final(trained, net),
            data,
            tests(dataset, how.parts, how.seed),
            self.settings,
            how.training,
            how.seed,
            tick,
            Checkpoint(folder, "clients"),
        )
        (folder / "personal.json").write_text(json.dumps(curves))
