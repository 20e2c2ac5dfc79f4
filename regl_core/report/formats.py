"""The formats in which a table is written: Markdown and LaTeX."""

import math

from .layout import POOLED, Cell, Layout

_ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "β": r"$\beta$", "±": r"$\pm$"}
)


def markdown(layout: Layout, caption: str) -> str:
    """The table as Markdown with `caption` below: "ours (paper)", best bold, second underlined.

    A reference's number stands in every column of its data set.
    """
    columns = [(d, s) for d, settings in layout.columns.items() for s in settings]
    heads = ["method", *(f"{dataset}, {spoken(setting)}" for dataset, setting in columns)]
    rows = [heads, ["---", *["---:"] * len(columns)]]
    for method in layout.methods:
        rows.append([method, *(_markdown_cell(layout.cell(*c, method)) for c in columns)])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", caption, ""])


def _markdown_cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"

    def score(mean: float, std: float) -> str:
        return f"{mean:.1f}" + ("" if math.isnan(std) else f" ± {std:.1f}")

    ours = score(cell.mean, cell.std)
    # GitHub strips <u> but shows <ins>, also underlined.
    ours = {1: f"**{ours}**", 2: f"<ins>{ours}</ins>"}.get(cell.place, ours)
    paper = "–" if math.isnan(cell.paper_mean) else score(cell.paper_mean, cell.paper_std)
    return f"{ours} ({paper})"


def latex(name: str, layout: Layout, caption: str) -> str:
    """The table as LaTeX, marked as in Markdown, labelled ``tab:<name>``; it needs booktabs.

    A reference's number spans the columns of its data set.
    """
    heads, rules, right = ["Method"], [], 1
    for dataset, settings in layout.columns.items():
        left, right = right + 1, right + len(settings)
        heads.append(rf"\multicolumn{{{len(settings)}}}{{c}}{{{escape(dataset)}}}")
        rules.append(rf"\cmidrule(lr){{{left}-{right}}}")
    settings = [escape(spoken(s)) for group in layout.columns.values() for s in group]
    references = [_latex_row(layout, m) for m in layout.methods if layout.is_reference(m)]
    rivals = [_latex_row(layout, m) for m in layout.methods if not layout.is_reference(m)]
    lines = [
        r"\begin{table}  % needs the package booktabs",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{tab:{name}}}",
        rf"\begin{{tabular}}{{l{'c' * (right - 1)}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        " ".join(rules),
        " & ".join(["", *settings]) + r" \\",
        r"\midrule",
        *references,
        *[r"\midrule"] * bool(references and rivals),
        *rivals,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join([*lines, ""])


def _latex_row(layout: Layout, method: str) -> str:
    row = [escape(method)]
    for dataset, settings in layout.columns.items():
        if layout.is_reference(method):
            cell = _latex_cell(layout.cell(dataset, POOLED, method))
            row.append(rf"\multicolumn{{{len(settings)}}}{{c}}{{{cell}}}")
        else:
            row += [_latex_cell(layout.cell(dataset, setting, method)) for setting in settings]
    return " & ".join(row) + r" \\"


def _latex_cell(cell: Cell | None) -> str:
    if cell is None:
        return "--"

    def score(mean: float, std: float, place: int = 0) -> str:
        marked = {1: rf"\mathbf{{{mean:.1f}}}", 2: rf"\underline{{{mean:.1f}}}"}
        spread = "" if math.isnan(std) else rf"_{{\pm {std:.1f}}}"
        return f"${marked.get(place, f'{mean:.1f}')}{spread}$"

    paper = "--" if math.isnan(cell.paper_mean) else score(cell.paper_mean, cell.paper_std)
    return f"{score(cell.mean, cell.std, cell.place)} ({paper})"


def escape(text: str) -> str:
    """`text` such that LaTeX prints it."""
    return text.translate(_ESCAPES)


def spoken(setting: str) -> str:
    """A setting's name as a reader would write it: ``beta=0.01`` is β = 0.01."""
    words = setting.replace("beta", "β").replace("=", " = ").replace(";", ", ")
    return words.replace("_", " ").replace("iid", "IID")
