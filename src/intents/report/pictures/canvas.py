"""What every picture is drawn on, and how a label is written.

Intent names are user data: Chinese, emoji, dollar signs, control characters, four kilobytes long. Every one
is drawn through `shorten_label`, so none can fail or distort a picture. The Chinese glyphs come from the
bundled font (see `fonts/README.md`), so a picture looks the same on a machine without Chinese fonts.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

CJK_FONT_FILE = Path(__file__).parent / "fonts" / "DroidSansFallback-subset.ttf"
FONT_FAMILIES = ["DejaVu Sans", "Intents CJK"]
"""Tried in this order, glyph by glyph; matplotlib brings the first, this package the second."""

MISSING_GLYPH = "\N{WHITE SQUARE}"
ELLIPSIS = "…"
LABEL_COLUMNS = 40
"""Longest label drawn; a Chinese character takes two columns."""

DPI = 100
POINTS_PER_INCH = 72
LINE_HEIGHT = 1.25
"""Room a line of text needs, in font sizes."""

BAR_COLOUR = "#4c78a8"
CENTRE_COLOUR = "#d62728"
GRID_COLOUR = "0.92"


@contextmanager
def picture(path: Path, size_in: tuple[float, float]) -> Iterator[Axes]:
    """Axes of this width and height to draw on; the file is cut to what was drawn, so labels of any length fit."""
    _drawable_code_points()
    with matplotlib.rc_context({"font.family": FONT_FAMILIES, "text.parse_math": False}):
        figure = Figure(figsize=size_in)
        FigureCanvasAgg(figure)
        yield figure.add_axes((0, 0, 1, 1))
        figure.savefig(path, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.2)


def count_in_whole_numbers(axis: Axis) -> None:
    axis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def shorten_label(label: str) -> str:
    """The label as it is drawn: one line, 40 columns at most (then …), and □ for a glyph no font has."""
    glyphs = _drawable_code_points()
    one_line = " ".join(label.split())
    visible = [char if ord(char) in glyphs else MISSING_GLYPH for char in one_line if not _is_invisible(char)]
    ends = np.cumsum([_columns(char) for char in visible])
    if not visible or ends[-1] <= LABEL_COLUMNS:
        return "".join(visible)
    kept = int(np.searchsorted(ends, LABEL_COLUMNS - _columns(ELLIPSIS), side="right"))
    return "".join(visible[:kept]) + ELLIPSIS


def _columns(char: str) -> int:
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _is_invisible(char: str) -> bool:
    """True for joiners, text-direction marks and variation selectors, which only change their neighbours."""
    return unicodedata.category(char) == "Cf" or "\ufe00" <= char <= "\ufe0f"


@cache
def _drawable_code_points() -> frozenset[int]:
    """Every code point that one of the fonts has a glyph for; loads the bundled font, once per process."""
    fontManager.addfont(CJK_FONT_FILE)
    files = [findfont(FontProperties(family=[family]), fallback_to_default=False) for family in FONT_FAMILIES]
    code_points = {point for file in files for point in get_font(file).get_charmap()}
    return frozenset(point for point in code_points if unicodedata.category(chr(point)) != "Cc")
