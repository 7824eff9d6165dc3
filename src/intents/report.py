"""The pictures of a trained classifier, drawn from plain arrays into PNG files.

Intent names are user data: Chinese, emoji, dollar signs, control characters, four kilobytes long. Every one
is drawn through `shorten_label`, so none can fail or distort a picture. The Chinese glyphs come from the
bundled font (see `fonts/README.md`), so a picture looks the same on a machine without Chinese fonts.
"""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

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
OUT_OF_SCOPE_COLOUR = "#b279a2"
ENERGY_BINS, MIN_ENERGY_SPAN = 60, 1.0
CENTRE_COLOUR, PERCENTILE_COLOUR = "#d62728", "#ff7f0e"
EMPTY_ROW_COLOUR, GRID_COLOUR = "0.85", "0.92"

MATRIX_BASE_IN, MATRIX_IN_PER_INTENT, MATRIX_MAX_IN = 4.0, 0.16, 28.0
"""Side of the confusion matrix, in inches: base + per intent, up to the maximum."""
MATRIX_FONT_RANGE = (8.0, 10.0)
MAX_INTENTS_WITH_COUNTS = 30
MAX_INTENTS_WITH_SLANTED_LABELS = 30
WHITE_TEXT_FROM_SHARE = 0.35
COUNT_FILL = 1.4
"""Font size of a one-digit count, in cells; more digits share it (a digit is 0.6 font sizes wide)."""
COLOUR_BAR_IN = (0.2, 6.0)
"""Width and greatest height."""

BARS_WIDTH_IN, BAR_HEIGHT_IN, BARS_MIN_IN = 7.0, 0.2, 1.2
MAX_F1_BARS = 200
HISTOGRAM_IN = (8.0, 4.5)
HISTOGRAM_END = 4
"""Lengths beyond this many 95th percentiles are counted in the title instead of drawn."""


def plot_confusion_matrix(path: Path, counts_CC: np.ndarray, *, intents: Sequence[str]) -> None:
    """Draw how often each true intent (row) was predicted as each intent (column).

    Colours are shares of a row on a square-root scale, so that single mistakes show. A row without utterances
    is grey. Up to 30 intents, the counts other than 0 stand in the cells.
    """
    side_in = min(MATRIX_BASE_IN + MATRIX_IN_PER_INTENT * len(intents), MATRIX_MAX_IN)
    cell_pt = side_in * POINTS_PER_INCH / len(intents)
    heading_size = 10 + side_in / 2.5
    shares_CC = row_shares(counts_CC)
    with _picture(path, width_in=side_in, height_in=side_in) as axes:
        colours = matplotlib.colormaps["Blues"].with_extremes(bad=EMPTY_ROW_COLOUR)
        scale = PowerNorm(0.5, vmin=0, vmax=1)
        image = axes.imshow(shares_CC, cmap=colours, norm=scale, interpolation="nearest")
        note = _label_cells(axes, intents, cell_pt=cell_pt)
        empty = " (grey: no test rows)" if np.isnan(shares_CC).any() else ""
        axes.set_xlabel(f"predicted intent{note}", size=heading_size)
        axes.set_ylabel(f"true intent{note}{empty}", size=heading_size)
        title = f"Confusion matrix (intents: {len(intents):,}, test rows: {counts_CC.sum():,})"
        axes.set_title(title, size=heading_size + 2, pad=heading_size / 2)
        _draw_colour_bar(image, side_in=side_in, font_size=heading_size)
        if len(intents) <= MAX_INTENTS_WITH_COUNTS:
            _write_counts(axes, counts_CC, shares_CC=shares_CC, cell_pt=cell_pt)


def plot_per_intent_f1(
    path: Path, f1_C: np.ndarray, *, intents: Sequence[str], support_C: np.ndarray
) -> None:
    """Draw the F1 of each intent, worst at the top, with its number of test rows; at most the 200 worst.

    The red line is the plain mean over all intents with test rows, drawn or not.
    """
    worst_first = np.argsort(f1_C, kind="stable")[:MAX_F1_BARS]
    mean = float(f1_C[support_C > 0].mean()) if (support_C > 0).any() else 0.0
    with _bar_picture(path, bars=len(worst_first)) as axes:
        _draw_bars(
            axes,
            f1_C[worst_first],
            labels=[intents[label] for label in worst_first],
            notes=[f"n={support:,.0f}" for support in support_C[worst_first]],
        )
        axes.axvline(mean, color=CENTRE_COLOUR, linewidth=1.2)
        axes.set_xlim(0, 1.1)  # room for the notes of the perfect intents
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.set_xlabel("F1 (n: test rows of the intent)")
        axes.set_ylabel("intent")
        scope = f"{len(worst_first):,} worst of {len(intents):,} intents"
        if len(worst_first) == len(intents):
            scope = f"{len(intents):,} intents, worst first"
        axes.set_title(f"F1 per intent: {scope}; red: mean {mean:.3f}")


def plot_intent_distribution(path: Path, counts: pd.Series, *, top: int = 30) -> None:
    """Draw the number of rows of the `top` largest intents; `counts` maps each intent to its rows."""
    largest = counts.sort_values(ascending=False, kind="stable").head(top)
    with _bar_picture(path, bars=len(largest)) as axes:
        _draw_bars(
            axes,
            largest.to_numpy(),
            labels=[str(intent) for intent in largest.index],
            notes=[f"{rows:,}" for rows in largest],
        )
        axes.set_xlim(0, 1.1 * max(1, largest.max()))
        _count_in_whole_numbers(axes.xaxis)
        axes.set_xlabel("rows")
        axes.set_ylabel("intent")
        axes.set_title(
            f"Rows per intent: top {len(largest):,} of {len(counts):,} intents, "
            f"{largest.sum():,} of {counts.sum():,} rows"
        )


def plot_length_distribution(path: Path, lengths_N: np.ndarray, *, bins: int = 40) -> None:
    """Draw how many utterances have which length in characters, with the median and the 95th percentile."""
    median, percentile_95 = np.percentile(lengths_N, [50, 95])
    drawn = lengths_N[lengths_N <= HISTOGRAM_END * percentile_95]
    width_in, height_in = HISTOGRAM_IN
    with _picture(path, width_in=width_in, height_in=height_in) as axes:
        axes.hist(
            drawn, bins=length_bins(drawn, bins=bins), color=BAR_COLOUR, edgecolor="white", linewidth=0.5
        )
        axes.axvline(median, color=CENTRE_COLOUR, label=f"median: {median:g}")
        percentile_text = f"95th percentile: {percentile_95:g}"
        axes.axvline(percentile_95, color=PERCENTILE_COLOUR, linestyle="--", label=percentile_text)
        axes.set_xlim(left=0)
        for axis in (axes.xaxis, axes.yaxis):
            _count_in_whole_numbers(axis)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        axes.set_xlabel("characters")
        axes.set_ylabel("utterances")
        hidden = len(lengths_N) - len(drawn)
        longer = f" ({hidden:,} longer ones, up to {lengths_N.max():,}, not drawn)" if hidden else ""
        axes.set_title(f"Length of {len(lengths_N):,} utterances{longer}")


def plot_energies(
    path: Path, in_scope_B: np.ndarray, *, out_of_scope_N: np.ndarray, threshold: float
) -> None:
    """Draw how in-scope and out-of-scope utterances spread over energy, and the threshold that parts them.

    Each group's bars add up to 1, so that a small group shows beside a large one.
    """
    energies = np.concatenate([in_scope_B, out_of_scope_N, [threshold]])
    missing = max(0.0, MIN_ENERGY_SPAN - np.ptp(energies)) / 2
    edges = np.linspace(energies.min() - missing, energies.max() + missing, ENERGY_BINS + 1)
    groups = [("in-scope", in_scope_B, BAR_COLOUR), ("out-of-scope", out_of_scope_N, OUT_OF_SCOPE_COLOUR)]
    width_in, height_in = HISTOGRAM_IN
    with _picture(path, width_in=width_in, height_in=height_in) as axes:
        for name, group, colour in groups:
            if len(group):
                accepted = (group <= threshold).mean()
                axes.hist(
                    group,
                    bins=list(edges),
                    weights=np.full(len(group), 1 / len(group)),
                    color=colour,
                    alpha=0.6,
                    label=f"{name}: {len(group):,} rows, {accepted:.1%} accepted",
                )
        axes.axvline(threshold, color=CENTRE_COLOUR, label=f"threshold {threshold:.2f}: accepted to its left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("energy (lower is more in-scope)")
        axes.set_ylabel("share of the group")
        axes.set_title("Energy of test utterances")


def row_shares(counts_CC: np.ndarray) -> np.ndarray:
    """Each count as a share of its row, shape (C, C), in [0, 1]; NaN in a row that sums to zero."""
    totals_C1 = counts_CC.sum(axis=1, keepdims=True)
    shares_CC = np.full(counts_CC.shape, np.nan)
    np.divide(counts_CC, totals_C1, out=shares_CC, where=totals_C1 > 0)
    return shares_CC


def length_bins(lengths_N: np.ndarray, *, bins: int) -> list[float]:
    """Edges of at most `bins` bins, all the same whole number of characters wide.

    Bins of 1.5 characters would hold one length and two lengths in turn, and draw a comb.
    """
    shortest, longest = int(lengths_N.min()), int(lengths_N.max())
    width = math.ceil((longest - shortest + 1) / bins)
    return [edge - 0.5 for edge in range(shortest, longest + width + 1, width)]


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


@contextmanager
def _picture(path: Path, *, width_in: float, height_in: float) -> Iterator[Axes]:
    """Axes of this size to draw on; the file is cut to what was drawn, so labels of any length fit."""
    _drawable_code_points()
    with matplotlib.rc_context({"font.family": FONT_FAMILIES, "text.parse_math": False}):
        figure = Figure(figsize=(width_in, height_in))
        FigureCanvasAgg(figure)
        yield figure.add_axes((0, 0, 1, 1))
        figure.savefig(path, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.2)


@contextmanager
def _bar_picture(path: Path, *, bars: int) -> Iterator[Axes]:
    height_in = max(BARS_MIN_IN, BAR_HEIGHT_IN * bars)
    with _picture(path, width_in=BARS_WIDTH_IN, height_in=height_in) as axes:
        yield axes


def _draw_bars(axes: Axes, values: np.ndarray, *, labels: Sequence[str], notes: Sequence[str]) -> None:
    """Draw horizontal bars, the first at the top, each with its label on the left and its note at its end."""
    rows = np.arange(len(values))
    bars = axes.barh(rows, values, height=0.75, color=BAR_COLOUR)
    behind_note = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # hides the lines it stands on
    axes.bar_label(bars, labels=notes, padding=3, fontsize=8, color="0.3", bbox=behind_note)
    axes.set_yticks(rows, [shorten_label(label) for label in labels], size=9)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.tick_params(axis="x", top=True, labeltop=True)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID_COLOUR)
    axes.set_axisbelow(True)
    axes.spines[["right"]].set_visible(False)


def _count_in_whole_numbers(axis: Axis) -> None:
    axis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _label_cells(axes: Axes, intents: Sequence[str], *, cell_pt: float) -> str:
    """Label as many rows and columns as stay legible; what the axis names must add where that isn't all."""
    smallest, largest = MATRIX_FONT_RANGE
    font_size = min(max(cell_pt / LINE_HEIGHT, smallest), largest)
    step = math.ceil(round(font_size * LINE_HEIGHT / cell_pt, 6))
    ticks = range(0, len(intents), step)
    labels = [shorten_label(intents[tick]) for tick in ticks]
    slant = 45 if len(intents) <= MAX_INTENTS_WITH_SLANTED_LABELS else 90
    axes.set_yticks(ticks, labels, size=font_size)
    axes.set_xticks(
        ticks, labels, size=font_size, rotation=slant, rotation_mode="anchor", ha="right", va="center"
    )
    if step > 1:
        return f" (one in {step} named)"
    edges = np.arange(1, len(intents)) - 0.5
    first, last = -0.5, len(intents) - 0.5
    axes.hlines(edges, first, last, color=GRID_COLOUR, linewidth=0.5)
    axes.vlines(edges, first, last, color=GRID_COLOUR, linewidth=0.5)
    return ""


def _write_counts(axes: Axes, counts_CC: np.ndarray, *, shares_CC: np.ndarray, cell_pt: float) -> None:
    for row, column in np.argwhere(counts_CC):
        text = str(counts_CC[row, column])
        size = min(MATRIX_FONT_RANGE[1], COUNT_FILL * cell_pt / len(text))
        colour = "white" if shares_CC[row, column] > WHITE_TEXT_FROM_SHARE else "0.2"
        axes.text(column, row, text, ha="center", va="center", color=colour, size=size)


def _draw_colour_bar(image: AxesImage, *, side_in: float, font_size: float) -> None:
    """Draw the legend of the colours to the right of the matrix, from its top edge down."""
    width, height = COLOUR_BAR_IN[0] / side_in, min(1.0, COLOUR_BAR_IN[1] / side_in)
    figure = image.axes.figure
    bar_axes = figure.add_axes((1 + width, 1 - height, width, height))
    bar = figure.colorbar(image, cax=bar_axes, ticks=[0, 0.05, 0.1, 0.25, 0.5, 0.75, 1])
    bar_axes.tick_params(labelsize=0.8 * font_size)
    bar.set_label("share of the true intent's rows", size=font_size, labelpad=0.6 * font_size)
