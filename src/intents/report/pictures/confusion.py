"""Which intent was predicted as which."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.image import AxesImage

from intents.report.pictures.canvas import GRID_COLOUR, LINE_HEIGHT, POINTS_PER_INCH, picture, shorten_label

EMPTY_ROW_COLOUR = "0.85"
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


def plot_confusion_matrix(path: Path, counts_CC: np.ndarray, *, intents: Sequence[str]) -> None:
    """Draw how often each true intent (row) was predicted as each intent (column).

    Colours are shares of a row on a square-root scale, so that single mistakes show. A row without utterances
    is grey. Up to 30 intents, the counts other than 0 stand in the cells.
    """
    side_in = min(MATRIX_BASE_IN + MATRIX_IN_PER_INTENT * len(intents), MATRIX_MAX_IN)
    cell_pt = side_in * POINTS_PER_INCH / len(intents)
    heading_size = 10 + side_in / 2.5
    shares_CC = row_shares(counts_CC)
    with picture(path, (side_in, side_in)) as axes:
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


def row_shares(counts_CC: np.ndarray) -> np.ndarray:
    """Each count as a share of its row, shape (C, C), in [0, 1]; NaN in a row that sums to zero."""
    totals_C1 = counts_CC.sum(axis=1, keepdims=True)
    return counts_CC / np.where(totals_C1 > 0, totals_C1, np.nan)


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
