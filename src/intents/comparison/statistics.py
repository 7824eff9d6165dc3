"""What chance alone would do to two models' answers to the same rows: paired bootstrap, McNemar, Holm. Pure functions.

Axes: B in-scope rows, N out-of-scope rows, S resamples of the rows, C intents.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.stats import binom

from intents.evaluation import CALIBRATION_BINS, confidence_bin, count_metrics
from intents.scoring import Floats, Integers

ACCEPTED_SHARE = 0.95
"""Share of in-scope rows that is accepted where FPR@95TPR is measured."""
RESAMPLES_AT_ONCE = 100
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """One model's answers. Ids of intents run from 0 to C - 1; C stands for any intent that is not compared."""

    predicted_B: Integers
    confidence_B: Floats
    energies_B: Floats
    energies_N: Floats


class Metrics:
    """A model's metrics with each row counted as often as its weight says: 1, or as often as a resample drew it.

    With weights of 1 they are those of `evaluation` and `open_set` (a test holds them equal).
    """

    def __init__(self, answers: Answers, labels_B: Integers, *, number_of_intents: int) -> None:
        is_right_B = answers.predicted_B == labels_B
        self.is_true_CB = _one_hot(labels_B, rows=number_of_intents)
        self.is_predicted_CB = _one_hot(answers.predicted_B, rows=number_of_intents)
        self.is_hit_CB = _one_hot(np.where(is_right_B, labels_B, number_of_intents), rows=number_of_intents)
        gap_B = is_right_B - answers.confidence_B
        self.gaps = _one_hot(confidence_bin(answers.confidence_B), rows=CALIBRATION_BINS, values=gap_B)
        self.ranking = _Ranking(answers.energies_B, answers.energies_N) if len(answers.energies_N) else None

    def weighted(self, weights_BS: Floats, weights_NS: Floats) -> dict[str, Floats]:
        """Each metric by name, shape (S,); auroc and fpr95 where there are out-of-scope rows."""
        counts = [(rows @ weights_BS).T for rows in (self.is_hit_CB, self.is_true_CB, self.is_predicted_CB)]
        metrics = count_metrics(*counts)
        metrics["ece"] = np.abs(self.gaps @ weights_BS).sum(axis=0) / weights_BS.sum(axis=0)
        return metrics | (self.ranking.weighted(weights_BS, weights_NS) if self.ranking else {})


class _Ranking:
    """How energies rank in-scope before out-of-scope rows, worked out once, whatever the rows' weights."""

    def __init__(self, energies_B: Floats, energies_N: Floats) -> None:
        self.order_N = np.argsort(energies_N)
        sorted_N = energies_N[self.order_N]
        # The first out-of-scope row, in order of energy, that each in-scope row is below, and not above.
        self.is_below_NB = _one_hot(np.searchsorted(sorted_N, energies_B, side="right"), rows=len(sorted_N))
        self.is_not_above_NB = _one_hot(
            np.searchsorted(sorted_N, energies_B, side="left"), rows=len(sorted_N)
        )

    def weighted(self, weights_BS: Floats, weights_NS: Floats) -> dict[str, Floats]:
        """auroc: chance that an out-of-scope row has the higher energy, ties counting half. fpr95: as `open_set`."""
        rows_S, out_of_scope_S, sorted_NS = (
            weights_BS.sum(axis=0),
            weights_NS.sum(axis=0),
            weights_NS[self.order_N],
        )
        below_NS = (self.is_below_NB @ weights_BS).cumsum(axis=0)
        not_above_NS = (self.is_not_above_NB @ weights_BS).cumsum(axis=0)
        pairs_S = ((below_NS + not_above_NS) / 2 * sorted_NS).sum(axis=0)
        # The threshold that accepts 95 % of in-scope is no lower than an energy which fewer than 95 % are below.
        is_accepted_NS = below_NS / rows_S < ACCEPTED_SHARE
        return {
            "auroc": pairs_S / (rows_S * out_of_scope_S),
            "fpr95": (is_accepted_NS * sorted_NS).sum(axis=0) / out_of_scope_S,
        }


def bootstrapped(
    baseline: Metrics, candidate: Metrics, *, rows: int, out_of_scope_rows: int, resamples: int, seed: int
) -> dict[str, Floats]:
    """The change of each metric, candidate less baseline, on each resample of the rows, shape (S,).

    Both models answer the same resampled rows; in-scope and out-of-scope rows are drawn apart, as many as there are.
    Efron and Tibshirani 1993, chapters 6 and 13.
    """
    changes: dict[str, list[Floats]] = {}
    drawn = _drawn(rows, resamples, np.random.default_rng([seed, 0]))
    drawn_out_of_scope = _drawn(out_of_scope_rows, resamples, np.random.default_rng([seed, 1]))
    for weights in zip(drawn, drawn_out_of_scope, strict=True):
        before, after = baseline.weighted(*weights), candidate.weighted(*weights)
        for name, value_S in after.items():
            changes.setdefault(name, []).append(value_S - before[name])
    return {name: np.concatenate(parts) for name, parts in changes.items()}


def interval(values_S: Floats, *, alpha: float) -> tuple[float, float]:
    """The percentile interval that covers 1 - alpha of the values."""
    low, high = np.percentile(values_S, [100 * alpha / 2, 100 * (1 - alpha / 2)])
    return float(low), float(high)


def mcnemar(broken: npt.ArrayLike, fixed: npt.ArrayLike) -> Floats:
    """Exact two-sided p: chance that so many rows, each broken or fixed by a coin, part so unevenly or more so.

    1 where no row is either. McNemar 1947; exact binomial form, not the chi-squared approximation.
    """
    broken, fixed = np.asarray(broken), np.asarray(fixed)
    p: Floats = np.minimum(1.0, 2 * binom.cdf(np.minimum(broken, fixed), broken + fixed, 0.5))
    return p


def holm(p_values: Floats) -> Floats:
    """The p-values, corrected for how many they are: those at most alpha hold together at alpha. Holm 1979."""
    order = np.argsort(p_values, kind="stable")
    steps = (len(p_values) - np.arange(len(p_values))) * p_values[order]
    corrected: Floats = np.empty(len(p_values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def _one_hot(ids_B: Integers, *, rows: int, values: Floats | None = None) -> csr_array:
    """Shape (rows, B): 1, or its value, where a column's id is the row; nothing where its id is none."""
    is_counted_B = ids_B < rows
    places = np.flatnonzero(is_counted_B)
    entries = np.ones(len(places)) if values is None else np.asarray(values)[places]
    return csr_array((entries, (ids_B[is_counted_B], places)), shape=(rows, len(ids_B)))


def _drawn(rows: int, resamples: int, generator: np.random.Generator) -> Iterator[Floats]:
    """How often each row is in each resample, some resamples at a time, shape (rows, S)."""
    for start in range(0, resamples, RESAMPLES_AT_ONCE):
        size = min(RESAMPLES_AT_ONCE, resamples - start)
        cells = generator.integers(0, rows, (size, rows)) if rows else np.empty((size, 0), dtype=np.int64)
        cells += np.arange(size)[:, None] * rows
        counts_SB = np.bincount(cells.ravel(), minlength=size * rows).reshape(size, rows)
        yield np.ascontiguousarray(counts_SB.T, dtype=np.float64)
