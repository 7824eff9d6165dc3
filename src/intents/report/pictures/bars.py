"""One bar an intent: its F1, its rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from intents.report.pictures.canvas import (
    BAR_COLOUR,
    CENTRE_COLOUR,
    GRID_COLOUR,
    count_in_whole_numbers,
    picture,
    shorten_label,
)

BARS_WIDTH_IN, BAR_HEIGHT_IN, BARS_MIN_IN = 7.0, 0.2, 1.2
MAX_F1_BARS = 200


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
        count_in_whole_numbers(axes.xaxis)
        axes.set_xlabel("rows")
        axes.set_ylabel("intent")
        axes.set_title(
            f"Rows per intent: top {len(largest):,} of {len(counts):,} intents, "
            f"{largest.sum():,} of {counts.sum():,} rows"
        )


@contextmanager
def _bar_picture(path: Path, *, bars: int) -> Iterator[Axes]:
    height_in = max(BARS_MIN_IN, BAR_HEIGHT_IN * bars)
    with picture(path, width_in=BARS_WIDTH_IN, height_in=height_in) as axes:
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
