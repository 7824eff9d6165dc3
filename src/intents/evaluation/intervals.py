"""What a metric might have been on other rows like these: the bootstrap. Efron and Tibshirani 1993, chapter 13.

What the mean of a few trainings might have been with other seeds: Student's t, since so few can't be resampled.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.stats import t as student_t

from intents.axes import Floats
from intents.evaluation.metrics import Measure

INTERVAL_ALPHA = 0.05
"""Share of resamples that an interval leaves out."""
INTERVAL_RESAMPLES = 1000
RAISED_BY_RESAMPLING = ("ece",)
"""Metrics that resamples have higher than the rows themselves: repeated rows widen the gap of every bin."""
CELLS_AT_ONCE = 1_000_000
"""Rows times resamples that are weighed at once."""


def resampled(
    measures: Sequence[Measure], *, sizes: tuple[int, int], resamples: int, seed: int
) -> dict[str, Floats]:
    """Each metric on each resample of the rows, shape (S,). No two measures may give the same one.

    In-scope and out-of-scope rows (`sizes` are their numbers) are drawn apart, as many as there are. Equal numbers of
    rows and an equal seed draw the same rows, so two models' metrics can be paired.
    """
    values: dict[str, list[Floats]] = {}
    generators = (np.random.default_rng([seed, stream]) for stream in range(2))
    drawn = (
        _drawn(size, resamples, generator=generator, rows_at_once=sum(sizes))
        for size, generator in zip(sizes, generators, strict=True)
    )
    for weights in zip(*drawn, strict=True):
        for measure in measures:
            for name, value_S in measure(*weights).items():
                values.setdefault(name, []).append(value_S)
    return {name: np.concatenate(parts) for name, parts in values.items()}


def interval(values_S: Floats, *, alpha: float = INTERVAL_ALPHA) -> tuple[float, float]:
    """The percentile interval that covers 1 - alpha of the values."""
    low, high = np.percentile(values_S, [100 * alpha / 2, 100 * (1 - alpha / 2)])
    return float(low), float(high)


def mean_interval(values_S: Floats, *, alpha: float = INTERVAL_ALPHA) -> tuple[float, float]:
    """The interval that covers the mean of all such values with a confidence of 1 - alpha; takes two values or more.

    mean ± t(1 - alpha/2; S - 1) * s / sqrt(S), of values spread normally. Student 1908, Biometrika 6.
    """
    count, mean = len(values_S), float(values_S.mean())
    reach = float(student_t.ppf(1 - alpha / 2, count - 1) * values_S.std(ddof=1) / np.sqrt(count))
    return mean - reach, mean + reach


def intervals(
    measures: Sequence[Measure], metrics: Mapping[str, float], *, sizes: tuple[int, int], seed: int
) -> dict[str, float]:
    """Both ends of the 95 % interval of each metric, `<metric>_ci_low` and `<metric>_ci_high`; percentiles.

    Where resampling itself raises a metric, the resamples' spread is laid around the metric as measured.
    """
    drawn = resampled(measures, sizes=sizes, resamples=INTERVAL_RESAMPLES, seed=seed)
    ends: dict[str, float] = {}
    for name, values_S in drawn.items():
        raised = values_S.mean() - metrics[name] if name in RAISED_BY_RESAMPLING else 0.0
        low, high = interval(values_S - raised)
        ends |= {f"{name}_ci_low": max(low, 0.0), f"{name}_ci_high": high}
    return ends


def _drawn(
    rows: int, resamples: int, *, generator: np.random.Generator, rows_at_once: int
) -> Iterator[Floats]:
    """How often each row is in each resample, some resamples at a time, shape (rows, S)."""
    at_once = max(1, CELLS_AT_ONCE // max(rows_at_once, 1))
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        cells = generator.integers(0, rows, (size, rows)) if rows else np.empty((size, 0), dtype=np.int64)
        cells += np.arange(size)[:, None] * rows
        counts_SB = np.bincount(cells.ravel(), minlength=size * rows).reshape(size, rows)
        yield np.ascontiguousarray(counts_SB.T, dtype=np.float64)
