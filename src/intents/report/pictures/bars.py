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
    labels = [intents[label] for label in worst_first]
    notes = [f"n={support:,.0f}" for support in support_C[worst_first]]
    with _bars(path, f1_C[worst_first], labels=labels, notes=notes) as axes:
        axes.axvline(mean, color=CENTRE_COLOUR, linewidth=1.2)
        # 1.1: room for the notes of the perfect intents
        axes.set(xlim=(0, 1.1), xticks=np.linspace(0, 1, 6), xlabel="F1 (n: test rows of the intent)")
        scope = f"{len(worst_first):,} worst of {len(intents):,} intents"
        if len(worst_first) == len(intents):
            scope = f"{len(intents):,} intents, worst first"
        axes.set_title(f"F1 per intent: {scope}; red: mean {mean:.3f}")


def plot_intent_distribution(path: Path, counts: pd.Series, *, top: int = 30) -> None:
    """Draw the number of rows of the `top` largest intents; `counts` maps each intent to its rows."""
    largest = counts.sort_values(ascending=False, kind="stable").head(top)
    notes = [f"{rows:,}" for rows in largest]
    with _bars(path, largest.to_numpy(), labels=list(map(str, largest.index)), notes=notes) as axes:
        axes.set(xlim=(0, 1.1 * max(1, largest.max())), xlabel="rows")
        count_in_whole_numbers(axes.xaxis)
        shown = f"top {len(largest):,} of {len(counts):,} intents, {largest.sum():,} of {counts.sum():,} rows"
        axes.set_title(f"Rows per intent: {shown}")


@contextmanager
def _bars(path: Path, values: np.ndarray, *, labels: Sequence[str], notes: Sequence[str]) -> Iterator[Axes]:
    """Horizontal bars, the first at the top, each with its label on the left and its note at its end."""
    rows = np.arange(len(values))
    with picture(path, (BARS_WIDTH_IN, max(BARS_MIN_IN, BAR_HEIGHT_IN * len(values)))) as axes:
        bars = axes.barh(rows, values, height=0.75, color=BAR_COLOUR)
        behind_note = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # hides the lines it stands on
        axes.bar_label(bars, labels=notes, padding=3, fontsize=8, color="0.3", bbox=behind_note)
        axes.set_yticks(rows, [shorten_label(label) for label in labels], size=9)
        axes.set_ylim(len(values) - 0.4, -0.6)
        axes.set_ylabel("intent")
        axes.tick_params(axis="x", top=True, labeltop=True)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=GRID_COLOUR)
        axes.set_axisbelow(True)
        axes.spines[["right"]].set_visible(False)
        yield axes
