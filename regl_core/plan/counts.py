"""How much work a stage is: from its fields to units of work, a function for each kind of stage.

Stages know nothing of it, so a better count makes no result stale.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine import Stage

BEGUN = 0.5  # seconds to begin any stage
PAIR = 1e-7  # seconds for two images of which `Distance` takes the kernel


@dataclass(frozen=True)
class Unit:
    """One piece of work, or a byte that is kept on disk.

    what : a second to "start"; a "byte"; an image "captioned", "embedded" by the image encoder or
    "encoded" into latents; a latent "denoised" by one pass of the U-Net, with its share of decoding
    the image, or "tuned" on, forward and backward; an image that the classifier is "trained" on,
    forward and backward, or that it has "evaluated". model, dtype, device : as in the settings.
    side : of the images, in pixels; 0: as the model makes or reads them.
    """

    what: str
    model: str = ""
    side: int = 0
    dtype: str = "float32"
    device: str = "cpu"


Work = Mapping[Unit, float]  # how much of each unit
START, BYTE = Unit("start"), Unit("byte")


def of(stage: "Stage") -> Work:
    """About how much it takes to compute `stage`, and the bytes of images and weights it keeps.

    A class of which nothing is said here counts as the one it is derived from; others are short.
    """
    kinds = (kind.__name__ for kind in type(stage).__mro__)
    return total([{START: BEGUN}, next((COUNTS[it](stage) for it in kinds if it in COUNTS), {})])


def total(works: Iterable[Work]) -> Work:
    """All of it together, without what there is none of."""
    return sum(map(Counter, works), Counter())


def generated(stage: Any, **amounts: float) -> dict[Unit, float]:
    """Work of the three models that `stage` has."""
    how = stage.models.settings
    models = {  # shipped ones lie beside each other, and no setting names them
        "captioned": how.captioner or f"{how.name}/captioner",
        "embedded": how.image_encoder or f"{how.name}/image-encoder",
    }
    place = 0, how.dtype, how.device
    return {Unit(it, models.get(it, how.name), *place): n for it, n in amounts.items()}


def classified(stage: Any, trained: float, evaluated: float = 0.0) -> dict[Unit, float]:
    """Work of the network that `stage` trains on its data set."""
    how = stage.training
    network = f"{how.model} {how.width}", stage.source.size.side, how.precision, how.device
    return {Unit("trained", *network): trained, Unit("evaluated", *network): evaluated}


def passes(method: Any, images: int, classes: int, how: Any) -> float:
    """How many images, counted each time, go forward and backward in a federation.

    images : of all clients, real and synthetic. how : the training's settings.
    """
    trained = images * how.client_fraction * how.rounds * how.local_epochs
    times, besides = PASSES.get(method.name, lambda *_: (1.0, 0.0))(method, classes, how)
    return times * trained + besides


def _dynafed(method: Any, classes: int, how: Any) -> tuple[float, float]:
    some = method.images_per_class * classes
    # An unrolled step goes forward and backward, and backward through both.
    unrolled = 3 * method.iterations * method.inner_steps * (method.inner_batch or some)
    later = max(0, how.rounds - method.trajectory + 1) * method.server_epochs * some
    return 1.0, unrolled + later


# By name of method: times the passes of plain local training, and passes besides; else (1, 0).
PASSES = {
    "MOON": lambda *_: (5 / 3, 0.0),  # its two frozen networks go forward only, a third of a pass
    "DynaFed": _dynafed,
}


def _drawn(stage: Any, guidance: float) -> Work:
    """As many images as `Vanilla` makes: with guidance every step passes the U-Net twice."""
    count, every = stage.count(), stage.synthesis.sampling_steps * (1 + (guidance > 1))
    return generated(stage, denoised=count * every) | {BYTE: 3 * stage.side**2 * count}


def _tuned(stage: Any) -> Work:
    own, drawn, lora = len(stage.captioned.indices), stage.vanilla.count(), stage.lora
    prior = drawn if lora.prior_share else 0  # at most: it lacks every class
    return generated(
        stage.vanilla,
        tuned=lora.steps * lora.batch_size,
        encoded=own + prior,
        embedded=drawn,
        captioned=prior,
    )


def _trained(stage: Any) -> Work:
    how, size = stage.training, stage.source.size
    trained = passes(stage.method, stage.count(), size.classes, how)
    tested = how.rounds * (1 + stage.personal) * size.test
    kept = 8.6e7 if how.model == "resnet34" else 5.3e3 * how.width**2  # bytes of the network
    return classified(stage, trained, tested) | {BYTE: kept}


def _once_more(how: Any, epochs: int, tested: int) -> Work:
    """What `Trained` trains on, in as many epochs, and as many evaluations on the test set."""
    return classified(how, epochs * how.count(), tested * how.source.size.test)


def _distance(stage: Any) -> Work:
    real = stage.real.source.size.train
    drawn = sum(part.images.count() for part in stage.synthetic)
    return {START: PAIR * (real**2 + real * drawn + drawn**2)}


def _adapter_attack(stage: Any) -> Work:
    both = 4 * len(stage.tuned.captioned.indices)  # members, strangers; with adapter and without
    return generated(stage.tuned.vanilla, denoised=both * stage.pairs, encoded=both)


def _probed(stage: Any) -> Work:
    judge, size, made = stage.judge, stage.judge.source.size, stage.images.count()
    seen = generated(stage.images, embedded=made + size.train)
    return seen | classified(judge, made * judge.probe.epochs, size.test + made)


# By the name of the class: no stage's code is imported to look at a plan.
COUNTS: dict[str, Callable[[Any], Work]] = {
    "Vanilla": lambda it: _drawn(it, it.synthesis.guidance),
    "LoraImages": lambda it: _drawn(it.tuned.vanilla, it.tuned.lora.guidance),
    "Captioned": lambda it: generated(it, captioned=len(it.indices), embedded=len(it.indices)),
    "Tuned": _tuned,
    "Trained": _trained,
    # At most, as if every client had real images of every class.
    "Personalized": lambda it: _once_more(it.trained, it.settings.epochs, it.settings.epochs),
    "Updated": lambda it: _once_more(
        it.trained, it.trained.training.local_epochs, 1 + len(it.trained.parts)
    ),
    "Embedded": lambda it: generated(it.images, embedded=it.images.count()),
    "EmbeddedReal": lambda it: generated(it, embedded=it.source.size.train),
    "EmbeddedTest": lambda it: generated(it, embedded=it.source.size.test),
    "Distance": _distance,
    "Neighbours": lambda it: {},
    "AdapterAttack": _adapter_attack,
    "Judge": lambda it: classified(
        it, (it.source.size.train + it.source.size.test) * it.probe.epochs
    ),
    "Probed": _probed,
    "Typeset": lambda it: {},
}
