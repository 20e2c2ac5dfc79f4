"""The three parts of the interactive notebook."""

from ..engine.store import Store
from ..params import Settings
from ..runs import STORE
from .gallery import Gallery
from .job import Job
from .race import Race
from .setup import Setup
from .skew import Skew


class Board:
    """Sliders of a partition (`skew`), methods on it (`race`) and its images (`gallery`).

    Each is a widget to be shown. What their buttons ask for goes through `store`, as in every
    notebook, in `workers` processes (default: one per core, or GPU), one at a time (`job`).
    """

    def __init__(
        self, settings: Settings, store: Store | None = None, workers: int | None = None
    ) -> None:
        self.job = Job(store or Store(STORE), workers)
        setup = Setup.of(settings, self.job)
        self.skew = Skew(setup)
        self.race = Race(setup, self.skew)
        self.gallery = Gallery(setup, self.skew)
