"""An executed notebook as a page of its own, which needs nothing but a browser."""

import re
from pathlib import Path
from typing import Any

from ..system import put
from .catalogue import ORDER

TEMPLATES = Path(__file__).with_name("templates")


def write_page(notebook: Path) -> Path:
    """Write `notebook` as HTML beside it, its code folded; the file.

    The title is the first heading. Links to notebooks that have such a page lead to that. Nothing
    is fetched from anywhere when it is shown.
    """
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name="basic",
        template_file="notebook.html.j2",
        extra_template_paths=[str(TEMPLATES)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_filename(str(notebook))

    def page(link: re.Match[str]) -> str:
        own = f"{link[1]}.html"
        return f'href="{own}"' if link[1] in ORDER or notebook.with_name(own).exists() else link[0]

    body = re.sub(r'href="\S*notebooks/(\w+)\.ipynb"', page, body)
    text = render_template("frame.html.j2", title=notebook.stem, body=body, code=_code_styles())
    file = notebook.with_suffix(".html")
    put({file.name: text.encode()}, file.parent)
    return file


def render_template(name: str, **values: Any) -> str:
    """The template `name` with `values` in it; one that it misses is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html", "html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(**values)


def _code_styles() -> str:
    from pygments.formatters import HtmlFormatter

    light, dark = (
        HtmlFormatter(style=style, nobackground=True).get_style_defs(".highlight")
        for style in ("default", "github-dark")
    )
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}"
