"""Rows as `exposure.look` gives them, with numbers of which it is known what they say."""

from collections.abc import Mapping, Sequence

import pandas as pd

from regl_core.privacy.exposure import COLUMNS

USUAL = "as in params"
FT, TF = "ReGL (FT)", "ReGL (TF)"
Values = Mapping[tuple[str, str, str, str], Sequence[float | Sequence[float]]]

LOUD: Values = {  # by features, the adapter and FT's weights give something away
    ("images", TF, "untuned", "features_own_first_pct"): [30.0, 40.0, 50.0],
    ("images", TF, "untuned", "pixels_own_first_pct"): [50.0, 50.0, 50.0],
    ("images", FT, USUAL, "features_own_first_pct"): [39.0, 50.0, 61.0],
    ("images", FT, USUAL, "pixels_own_first_pct"): [45.0, 60.0, 66.0],
    ("images", FT, "strength 0.4", "features_own_first_pct"): [34.0, 45.0, 56.0],
    ("adapter", FT, USUAL, "auc"): [0.7, 0.72, 0.74],
    ("adapter", FT, "10 steps", "auc"): [0.6, 0.62, 0.64],
    ("adapter", FT, "160 steps", "auc"): [0.9, 0.92, 0.94],
    ("adapter", FT, "rank 2", "auc"): [0.6, 0.72, 0.84],
    ("update", "FedAvg", USUAL, "auc"): [0.5, 0.8, 0.8],
    ("update", TF, USUAL, "auc"): [0.40, 0.41, 0.42],
    ("update", FT, USUAL, "auc"): [0.8, 0.83, 0.86],
}


def rows(values: Values) -> pd.DataFrame:
    """A row per client, by what, method, way and measure: of each seed one number, or several."""
    found = [
        ("digits", "beta=0.01", method, seed, client, what, way, measure, value)
        for (what, method, way, measure), seeds in values.items()
        for seed, own in enumerate(seeds)
        for client, value in enumerate(own if isinstance(own, Sequence) else [own])
    ]
    return pd.DataFrame(found, columns=COLUMNS)
