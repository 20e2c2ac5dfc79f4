"""The notebooks at the profile smoke, for nbmake, whatever profile they start with.

python -m tools.at_smoke build/notebooks
"""

import shutil
import sys
from pathlib import Path

import nbformat

from regl_core.params import ROOT


def copy(notebooks: Path, folder: Path) -> None:
    """Writes each of the `notebooks`, at smoke, to `folder`, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in sorted(notebooks.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if "parameters" in cell.metadata.get("tags", []):
                cell.source += '\nprofile = "smoke"'
        nbformat.write(notebook, folder / path.name)


if __name__ == "__main__":
    copy(ROOT / "notebooks", Path(sys.argv[1]))
