"""How much work a stage is: from its fields to units of work, a function for each kind of stage.

Stages know nothing of it, and a better count makes no result stale.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..engine.stage import Stage
from ..params import TrainingSettings
from .rates import Rates
from .work import BYTE, START, Work, classifier, generative, sampled, tested, total

if TYPE_CHECKING:
    from ..methods.base import Method

SHORTEST = 1e-3  # seconds; no stage is estimated at less
PAIR = 1e-7  # seconds for two images of which `Distance` takes the kernel
SEEN, LESSON = 256, 64  # images at once: `conditions.BATCH`, `tuning.BATCH`
SHOWN = 600  # test images whose features `Updated` keeps


def of(stage: Stage) -> Work:
    """About how much it takes to compute `stage`, and how much of it is kept.

    A class of which nothing is said here counts as the one it is derived from; others are short.
    """
    kinds = (kind.__name__ for kind in type(stage).__mro__)
    return next((COUNTS[kind](stage) for kind in kinds if kind in COUNTS), {START: 1.0})


def seconds(stages: Mapping[str, Stage], rates: Rates) -> dict[str, float]:
    """About how long each of `stages` takes on one device, by the same keys."""
    return {key: max(rates.seconds(of(stage)), SHORTEST) for key, stage in stages.items()}


def passes(method: "Method", images: int, classes: int, how: TrainingSettings) -> float:
    """How many images, counted each time, go forward and backward in a federation.

    images : of all clients, real and synthetic.
    """
    trained = images * how.client_fraction * how.rounds * how.local_epochs
    own = PASSES.get(method.name, lambda *_: (1.0, 0.0))
    times, besides = own(method, classes, how)
    return times * trained + besides


def _moon(method: Any, classes: int, how: TrainingSettings) -> tuple[float, float]:
    return 5 / 3, 0.0  # the two frozen networks go forward only, a third of a pass each


def _dynafed(method: Any, classes: int, how: TrainingSettings) -> tuple[float, float]:
    some = method.images_per_class * classes
    # An unrolled step goes forward and backward, and backward through both.
    unrolled = 3 * method.iterations * method.inner_steps * (method.inner_batch or some)
    later = max(0, how.rounds - method.trajectory + 1) * method.server_epochs * some
    return 1.0, unrolled + later


# By name of the method, times the passes of plain local training, and passes besides; else (1, 0).
PASSES: dict[str, Callable[[Any, int, TrainingSettings], tuple[float, float]]] = {
    "MOON": _moon,
    "DynaFed": _dynafed,
}


def _held(method: Any, classes: int, how: TrainingSettings) -> int:
    """Of how many images a device holds all activations at once, at most."""
    if method.name != "DynaFed":
        return how.batch_size
    unrolled = method.inner_steps * (method.inner_batch or method.images_per_class * classes)
    # Those of both directions, in float32 whatever the precision of other training.
    return max((2 if how.precision == "float32" else 4) * unrolled, how.batch_size)


def _vanilla(stage: Any) -> Work:
    return _drawn(stage, stage.synthesis.guidance)


def _drawn(stage: Any, guidance: float) -> Work:
    """As many images as `Vanilla` makes, with this guidance."""
    how, count = stage.synthesis, stage.count()
    return {
        START: 0.5,
        **sampled(stage.models.settings, count, how.sampling_steps, guidance, how.batch_size),
        BYTE: 3 * stage.side**2 * count,
    }


def _lora_images(stage: Any) -> Work:
    tuned = stage.tuned
    return total(_drawn(tuned.vanilla, tuned.lora.guidance), {BYTE: 120 * stage.count()})


def _captioned(stage: Any) -> Work:
    count, settings = len(stage.indices), stage.models.settings
    return {
        START: 0.5,
        generative("captioned", settings, SEEN): count,
        generative("embedded", settings, SEEN): count,
        generative("feature", settings): count,
        BYTE: 60 * count,
    }


def _tuned(stage: Any) -> Work:
    settings, own, drawn = (
        stage.captioned.models.settings,
        len(stage.captioned.indices),
        stage.vanilla.count(),
    )
    prior = drawn if stage.lora.prior_share else 0  # at most: it lacks every class
    return {
        generative("tuned", settings, stage.lora.batch_size): (
            stage.lora.steps * stage.lora.batch_size
        ),
        generative("encoded", settings, LESSON): own + prior,
        generative("embedded", settings, SEEN): drawn,
        generative("captioned", settings, SEEN): prior,
        generative("feature", settings): own,
        generative("rank", settings): stage.lora.rank,
    }


def _trained(stage: Any) -> Work:
    how, side, classes = stage.training, stage.source.size.side, stage.source.size.classes
    return {
        START: 1.0,
        classifier("trained", how, side, _held(stage.method, classes, how)): (
            passes(stage.method, stage.count(), classes, how)
        ),
        **tested(how, side, how.rounds * (1 + stage.personal) * stage.source.size.test),
        classifier("network", how, side): 1,
        classifier("client", how, side): len(stage.parts),
    }


def _personalized(stage: Any) -> Work:
    how, epochs = stage.trained, stage.settings.epochs
    side = how.source.size.side
    return {
        # At most, as if every client had real images of every class.
        classifier("trained", how.training, side, how.training.batch_size): epochs * how.count(),
        **tested(how.training, side, epochs * how.source.size.test),
    }


def _updated(stage: Any) -> Work:
    how, clients = stage.trained.training, len(stage.trained.parts)
    side = stage.trained.source.size.side
    return {
        START: 0.5,
        classifier("trained", how, side, how.batch_size): how.local_epochs * stage.trained.count(),
        **tested(how, side, (1 + clients) * stage.trained.source.size.test),
        BYTE: 4 * clients * SHOWN * 8 * how.width,
    }


def _seen(models: Any, count: int) -> Work:
    return {
        START: 0.2,
        generative("embedded", models.settings, SEEN): count,
        generative("feature", models.settings): count,
    }


def _distance(stage: Any) -> Work:
    real = stage.real.source.size.train
    drawn = sum(part.images.count() for part in stage.synthetic)
    pairs = real**2 + real * drawn + drawn**2
    kept = generative("feature", stage.real.models.settings)
    return {START: 0.5 + PAIR * pairs, kept: real + min(real, drawn)}


def _adapter_attack(stage: Any) -> Work:
    images = 2 * len(stage.tuned.captioned.indices)  # members and strangers
    settings = stage.tuned.captioned.models.settings
    return {
        START: 0.5,
        generative("denoised", settings, LESSON): 2 * images * stage.pairs,
        generative("encoded", settings, LESSON): 2 * images,
        BYTE: 4 * images,
    }


def _judge(stage: Any) -> Work:
    side, images = stage.source.size.side, stage.source.size.train + stage.source.size.test
    return {
        START: 5.0,
        classifier("trained", stage.training, side, stage.training.batch_size): (
            images * stage.probe.epochs
        ),
        classifier("network", stage.training, side): 1,
    }


def _probed(stage: Any) -> Work:
    how, source, made = stage.judge.training, stage.judge.source, stage.images.count()
    side = source.size.side
    return {
        START: 1.0,
        classifier("trained", how, side, how.batch_size): made * stage.judge.probe.epochs,
        **tested(how, side, source.size.test + made),
        generative("embedded", stage.images.models.settings, SEEN): made + source.size.train,
    }


# By the name of the class: to look at a plan, no stage's code is imported.
COUNTS: dict[str, Callable[[Any], Work]] = {
    "Vanilla": _vanilla,
    "LoraImages": _lora_images,
    "Captioned": _captioned,
    "Tuned": _tuned,
    "Trained": _trained,
    "Personalized": _personalized,
    "Updated": _updated,
    "Embedded": lambda stage: _seen(stage.images.models, stage.images.count()),
    "EmbeddedReal": lambda stage: _seen(stage.models, stage.source.size.train),
    "EmbeddedTest": lambda stage: _seen(stage.models, stage.source.size.test),
    "Distance": _distance,
    "Neighbours": lambda stage: {START: 0.5},
    "AdapterAttack": _adapter_attack,
    "Judge": _judge,
    "Probed": _probed,
}
