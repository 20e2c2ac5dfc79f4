"""From results to what a reader sees: tables beside the paper's, figures, verdicts, one page.

    results → rows → formats → tables        rows → comparison → claims
    results → figure_data → drawing                   provenance, catalogue, page: the files

Importing this loads neither torch nor what draws: that is done where it is needed.
"""

from .catalogue import ENDINGS, ORDER, artefacts, check
from .claims import CLAIMS, Verdict, claims_frame, judge, undecided, verdicts
from .comparison import FT, MIN_SEEDS, TF, Comparison
from .drawing.accuracies import accuracy_bars, accuracy_by_volume, accuracy_curves
from .drawing.clients import local_update, named, ownership_maps, recovery
from .drawing.image_grids import agreement, image_grid
from .drawing.leaks import intervals
from .drawing.palette import method_styles
from .drawing.scatter import scatter_by_class, scatter_together
from .drawing.style import CLASSES, MARKERS, REAL, SYNTHETIC, heat_map, panels
from .figure_data import (
    ClientImagesRun,
    DistanceRun,
    UpdateRun,
    accuracy_per_class,
    class_names,
    image_distances,
    marked_classes,
    ownership,
    ownership_matrix,
    separation,
    skew,
)
from .notebook_page import write_page
from .page import render
from .provenance import COLUMNS, commit, digest, libraries, save_figure, trace, write_csv
from .rows import RUN, by_clients, by_epochs, by_task, by_volume, drift, gather, spoken
from .tables import shipped, table

# Of notebooks.
__all__ = ["ClientImagesRun", "DistanceRun", "UpdateRun", "drift", "gather", "spoken"]
__all__ += ["by_clients", "by_epochs", "by_task", "by_volume"]
__all__ += ["save_figure", "shipped", "table", "verdicts", "write_csv"]
__all__ += ["accuracy_per_class", "class_names", "image_distances", "marked_classes"]
__all__ += ["ownership", "ownership_matrix", "separation", "skew"]
__all__ += ["accuracy_bars", "accuracy_by_volume", "accuracy_curves", "agreement", "image_grid"]
__all__ += ["intervals", "local_update", "ownership_maps", "panels", "recovery"]
__all__ += ["REAL", "SYNTHETIC", "scatter_by_class", "scatter_together"]
# Of press.
__all__ += ["CLAIMS", "COLUMNS", "ENDINGS", "ORDER", "Verdict", "artefacts", "check"]
__all__ += ["claims_frame", "commit", "digest", "judge", "libraries", "render"]
__all__ += ["trace", "undecided", "write_page"]
# Of rooms that compare and draw for themselves.
__all__ += ["FT", "MIN_SEEDS", "RUN", "TF", "Comparison"]
__all__ += ["CLASSES", "MARKERS", "heat_map", "method_styles", "named"]
