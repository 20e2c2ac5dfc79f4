"""A git filter: of a notebook that JupyterLab has saved, what a person wrote goes into git.

Reads a notebook from standard input and writes it without outputs, counts and what JupyterLab notes
beside them, as nbformat lays it out. So running and saving one leaves `git status` as it was.
`make setup` names it to git, .gitattributes its files.
"""

import json
import sys

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def source_only(text: str) -> str:
    """The notebook `text` as it is stored."""
    notebook = json.loads(text)
    notebook["metadata"] = {"kernelspec": KERNEL}
    for cell in notebook["cells"]:
        cell["metadata"] = {key: it for key, it in cell["metadata"].items() if key == "tags"}
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    sys.stdout.write(source_only(sys.stdin.read()))
