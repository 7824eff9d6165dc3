"""What every page fills: one skeleton, its style inside, every text escaped, one file that asks for nothing else."""

from pathlib import Path
from typing import Any

import jinja2

ASSETS = Path(__file__).parent / "assets"


def filled(template: str, *, title: str, **values: Any) -> str:
    """The page that the template makes of these values, the same for the same values. Write it as UTF-8."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (ASSETS / "page.css").read_text("utf-8")
    text = environment.get_template(template).render(title=title, style=style, **values)
    return text.encode("utf-8", "replace").decode("utf-8")
