"""What notebooks write into figures/<profile>/: each file says what made it.

Files appear whole or not at all, and several of one artefact together. The same content and
provenance give the same bytes.
"""

import io
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ..params import ROOT, Settings
from ..system import put
from .provenance import COLUMNS, Provenance, trace

DPI = 150


def write_csv(
    frame: pd.DataFrame,
    name: str,
    settings: Settings,
    folder: Path | None = None,
    float_format: str | None = "%.2f",
) -> None:
    """Write `frame` and its provenance to `name`.csv.

    folder : default figures/<profile>.
    float_format : of every column of floats; None for as many digits as tell them apart.
    """
    text = csv_text(frame, trace(name, settings), float_format)
    put({f"{name}.csv": text.encode()}, folder or home(settings))


def save(figure: Figure, name: str, settings: Settings, folder: Path | None = None) -> None:
    """Write `figure` to `name`.png and `name`.pdf, in the metadata of each its provenance.

    PNG: a text chunk for each field, as Artefact and Commit. PDF: the artefact is its title, all
    in one line its subject, the fields its keywords. folder: default figures/<profile>.
    """
    made = trace(name, settings)
    fields = {key.capitalize(): value for key, value in vars(made).items()}
    metadata = {
        "png": {**fields, "Software": None},
        "pdf": {
            "Title": name,
            "Subject": made.line,
            "Keywords": "; ".join(f"{key}={value}" for key, value in vars(made).items()),
            "Creator": None,
            "Producer": None,
            "CreationDate": None,
        },
    }
    files = {}
    for kind, facts in metadata.items():
        drawn = io.BytesIO()
        figure.savefig(drawn, format=kind, dpi=DPI, metadata=facts)
        files[f"{name}.{kind}"] = drawn.getvalue()
    put(files, folder or home(settings))


def csv_text(frame: pd.DataFrame, made: Provenance, float_format: str | None = "%.2f") -> str:
    """`frame` as CSV, after its own columns those of COLUMNS."""
    whole = frame.assign(**{column: getattr(made, column) for column in COLUMNS})
    return whole.to_csv(index=False, float_format=float_format, lineterminator="\n")


def home(settings: Settings) -> Path:
    """Where artefacts lie: figures/<profile>."""
    return ROOT / "figures" / settings.profile
