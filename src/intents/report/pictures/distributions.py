"""How utterances spread: over length, over energy, over confidence."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from intents.evaluation.names import METRICS
from intents.report.pictures.canvas import (
    BAR_COLOUR,
    CENTRE_COLOUR,
    GRID_COLOUR,
    count_in_whole_numbers,
    picture,
)

OUT_OF_SCOPE_COLOUR, PERCENTILE_COLOUR = "#b279a2", "#ff7f0e"
ENERGY_BINS, MIN_ENERGY_SPAN = 60, 1.0
HISTOGRAM_IN = (8.0, 4.5)
HISTOGRAM_END = 4
"""Lengths beyond this many 95th percentiles are counted in the title instead of drawn."""
RELIABILITY_IN, ROWS_IN, GAP_IN = 4.5, 1.1, 0.25
"""Side of the reliability diagram, height of the rows below it, and what lies between."""


def plot_length_distribution(path: Path, lengths_N: np.ndarray, *, bins: int = 40) -> None:
    """Draw how many utterances have which length in characters, with the median and the 95th percentile."""
    median, percentile_95 = np.percentile(lengths_N, [50, 95])
    drawn = lengths_N[lengths_N <= HISTOGRAM_END * percentile_95]
    edges = length_bins(drawn, bins=bins)
    with picture(path, HISTOGRAM_IN) as axes:
        axes.hist(drawn, bins=edges, color=BAR_COLOUR, edgecolor="white", linewidth=0.5)
        axes.axvline(median, color=CENTRE_COLOUR, label=f"median: {median:g}")
        label = f"95th percentile: {percentile_95:g}"
        axes.axvline(percentile_95, color=PERCENTILE_COLOUR, linestyle="--", label=label)
        axes.set_xlim(left=0)
        for axis in (axes.xaxis, axes.yaxis):
            count_in_whole_numbers(axis)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        hidden = len(lengths_N) - len(drawn)
        longer = f" ({hidden:,} longer ones, up to {lengths_N.max():,}, not drawn)" if hidden else ""
        title = f"Length of {len(lengths_N):,} utterances{longer}"
        axes.set(xlabel="characters", ylabel="utterances", title=title)


def length_bins(lengths_N: np.ndarray, *, bins: int) -> list[float]:
    """Edges of at most `bins` bins, all the same whole number of characters wide.

    Bins of 1.5 characters would hold one length and two lengths in turn, and draw a comb.
    """
    shortest, longest = int(lengths_N.min()), int(lengths_N.max())
    width = math.ceil((longest - shortest + 1) / bins)
    return [edge - 0.5 for edge in range(shortest, longest + width + 1, width)]


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
    with picture(path, HISTOGRAM_IN) as axes:
        for name, group, colour in groups:
            if len(group):
                shares = np.full(len(group), 1 / len(group))
                label = f"{name}: {len(group):,} rows, {(group <= threshold).mean():.1%} accepted"
                axes.hist(group, bins=list(edges), weights=shares, color=colour, alpha=0.6, label=label)
        axes.axvline(threshold, color=CENTRE_COLOUR, label=f"threshold {threshold:.2f}: accepted to its left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        label, title = "energy (lower is more in-scope)", "Energy of test utterances"
        axes.set(xlabel=label, ylabel="share of the group", title=title)


def plot_reliability(path: Path, bins: pd.DataFrame, *, ece: float) -> None:
    """Draw how often answers of each confidence are right, beside what that confidence promises.

    `bins` is `evaluate.reliability`. Below it stand the rows of each bin: few rows mean little.
    """
    width, height = RELIABILITY_IN, RELIABILITY_IN + GAP_IN + ROWS_IN
    middle, widths = (bins["low"] + bins["high"]) / 2, bins["high"] - bins["low"]
    with picture(path, (width, height)) as below:
        above = below.figure.add_axes((0, 1 - width / height, 1, width / height))
        below.set_position((0, 0, 1, ROWS_IN / height))
        above.bar(middle, bins["accuracy"], width=widths, color=BAR_COLOUR, edgecolor="white", linewidth=0.5)
        above.plot(bins["confidence"], bins["accuracy"], ".", color="black", label="mean confidence of a bin")
        above.plot([0, 1], [0, 1], linestyle="--", color=CENTRE_COLOUR, label="as promised")
        below.bar(middle, bins["rows"], width=widths, color=BAR_COLOUR, edgecolor="white", linewidth=0.5)
        for axes in (above, below):
            axes.set(xlim=(0, 1), axisbelow=True)
            axes.grid(color=GRID_COLOUR)
            axes.spines[["top", "right"]].set_visible(False)
        title = f"Reliability on {bins['rows'].sum():,} test rows: {METRICS['ece'].words} {ece:.4f}"
        above.set(ylim=(0, 1), xticklabels=[], ylabel="accuracy", title=title)
        above.legend(loc="upper left", edgecolor="none")
        count_in_whole_numbers(below.yaxis)
        below.set(xlabel="confidence", ylabel="rows")
