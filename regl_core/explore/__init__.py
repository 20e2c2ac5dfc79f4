"""The interactive notebook's widgets: a partition, FedAvg against ReGL on it, and its images.

Every slider and button can be used from Python as well, by its `value` and its `click()`.
"""

from ..engine import Store
from ..params import Settings
from ..pipeline import Pipeline
from ..runs import STORE
from .background import Background
from .race import Race
from .samples import Samples
from .skew import Skew

__all__ = ["Board"]


class Board:
    """Sliders of a partition (`skew`), methods on it (`race`) and its images (`samples`).

    Each is a widget to be shown, of the first data set of `settings`. What their buttons ask for
    goes through `store`, as in every notebook, in `workers` processes (default: one per core, or
    GPU), one at a time (`background`).
    """

    def __init__(
        self, settings: Settings, store: Store | None = None, workers: int | None = None
    ) -> None:
        pipeline = Pipeline()
        self.background = Background(store or Store(STORE), workers)
        self.skew = Skew(settings, pipeline)
        self.race = Race(self.skew, pipeline, self.background)
        self.samples = Samples(self.skew, pipeline, self.background)
