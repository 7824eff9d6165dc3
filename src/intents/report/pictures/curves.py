"""How good a model gets with more rows to learn from."""

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from intents.evaluation.names import METRICS
from intents.report.pictures.canvas import BAR_COLOUR, GRID_COLOUR, picture, shorten_label

BASELINE_COLOUR = "#d97706"
CURVE_IN = (8.0, 4.8)
ROOM_BESIDE, ROOM_ABOVE = 0.07, 0.12
"""Around what is drawn, as a share of it."""
LEGEND_PT = 48
"""Between the title and the curves."""
LEAST_STEP = 0.07
"""Of the width, between two places that are written of."""
ALONE = 2.0
"""Where there is one place only, so many times fewer and more rows are shown."""


def plot_learning_curve(path: Path, table: pd.DataFrame, *, model: str, corpus: str, scope: str) -> None:
    """Draw the accuracy of each training over its training rows an intent, the mean of each share, and the spread.

    `table` has one row a training: share, rows_per_intent, accuracy, and baseline_accuracy on the same rows.
    """
    rows_S = table.groupby("share")["rows_per_intent"].mean()
    placed = table.set_index(table["share"].map(rows_S))
    with picture(path, CURVE_IN) as axes:
        axes.set_xscale("log")
        _draw(axes, placed["accuracy"], name=shorten_label(model), colour=BAR_COLOUR, marker="o", zorder=4)
        _draw(
            axes,
            placed["baseline_accuracy"],
            name="linear baseline",
            colour=BASELINE_COLOUR,
            marker="s",
            zorder=3,
        )
        _write_means(axes, placed, places=_write_rows(axes, rows_S))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda accuracy, _: f"{round(accuracy * 100, 4):g}%"))
        axes.margins(y=ROOM_ABOVE)
        axes.grid(color=GRID_COLOUR)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel(
            "training rows an intent (median, on a logarithmic scale) and, below, the share of the rows"
        )
        axes.set_ylabel(f"{METRICS['accuracy'].words} on the test rows")
        axes.set_title(f"What more rows bring: {shorten_label(corpus)}, {scope}", pad=LEGEND_PT)
        seeds = int(table.groupby("share").size().max())
        several = f"line, numbers: mean of {seeds} seeds; dots: the seeds; shaded: ± one standard deviation"
        note = several if seeds > 1 else "one seed"
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, title=note, title_fontsize=9
        )


def _draw(
    axes: Axes, accuracies: "pd.Series[float]", *, name: str, colour: str, marker: str, zorder: int
) -> None:
    """The seeds, their mean and their spread; the accuracies are indexed by the rows that they stand above."""
    drawn = accuracies.groupby(level=0)
    mean, spread = drawn.mean(), drawn.std().fillna(0.0)
    axes.fill_between(mean.index, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
    axes.plot(mean.index, mean, color=colour, linewidth=2, marker="_", markersize=12, label=name)
    axes.plot(
        accuracies.index,
        accuracies,
        marker,
        color=colour,
        markersize=6.5,
        markeredgecolor="white",
        zorder=zorder,
    )


def _write_means(axes: Axes, placed: pd.DataFrame, *, places: Iterable[float]) -> None:
    """Each mean at these places, above what is drawn there; that of the lower line below."""
    for rows in places:
        drawn = placed[placed.index == rows]
        means = drawn[["baseline_accuracy", "accuracy"]].mean()
        lower, upper = sorted(map(str, means.index), key=means.__getitem__)
        for column, beyond, side in ((upper, drawn[upper].max(), 1), (lower, drawn[lower].min(), -1)):
            axes.annotate(
                f"{drawn[column].mean() * 100:.1f}",
                (rows, beyond),
                xytext=(0, 9 * side),
                textcoords="offset points",
                ha="center",
                va="bottom" if side > 0 else "top",
                size=9,
                color=BAR_COLOUR if column == "accuracy" else BASELINE_COLOUR,
            )


def _write_rows(axes: Axes, rows_S: "pd.Series[float]") -> Iterable[float]:
    """The rows an intent of each share below it, the most first, but for those that would run into another.

    Returns where they stand.
    """
    least, most = rows_S.min(), rows_S.max()
    first, last = (least / ALONE, most * ALONE) if least == most else (least, most)
    width = math.log(last / first)
    written: dict[float, str] = {}
    for share, rows in rows_S.sort_index(ascending=False).items():
        if all(abs(math.log(rows / other)) >= LEAST_STEP * width for other in written):
            written[rows] = f"{round(rows, 1):g}\n{float(str(share)) * 100:g}%"
    axes.set_xticks(list(written), list(written.values()))
    axes.xaxis.set_minor_locator(NullLocator())
    room = math.exp(ROOM_BESIDE * width)
    axes.set_xlim(first / room, last * room)
    return written
