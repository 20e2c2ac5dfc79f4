"""Whether settings that are valid line by line go together: `make check`.

What only computing would meet otherwise is told here, without data sets or models at hand.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from .. import methods, models
from ..datasets import find
from ..errors import ReglError
from ..hub import Sources
from ..params import Settings
from ..settings import in_one


def check(settings: Settings) -> None:
    """Make sure that there are such methods, networks, data sets and models.

    Raises ReglError with all that there is not, and settings that a method cannot run with.
    """
    found: list[str] = []
    training = settings.training
    for group in ("methods", "personal_methods"):
        for name, hyperparameters in getattr(settings, group).items():
            with into(found, f"{group}: "):
                methods.get(name, hyperparameters).check(training)
    for name, own in settings.datasets.items():
        with into(found):
            find(name, own)
        with into(found):
            models.check(training.model, training.width, own.image_side)
    for component in Sources(settings.foundation).components():
        with into(found):
            component.check()
    if found:
        where = f"params/{settings.profile}.yaml"
        raise ReglError(in_one(f"{where}: {text}" for text in dict.fromkeys(found)))


@contextmanager
def into(found: list[str], group: str = "") -> Iterator[None]:
    """Goes on after a ReglError, whose message it adds to `found`."""
    try:
        yield
    except ReglError as error:
        found.append(f"{group}{error}")
