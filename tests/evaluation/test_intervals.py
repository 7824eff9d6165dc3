"""Resamples and intervals, against what theory says of them."""

import numpy as np
import pytest

from intents.evaluation import intervals
from intents.evaluation.metrics import Measure, calibration_error, means, measured


def test_a_resample_has_as_many_rows_as_there_are_each_as_likely_as_the_other(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(intervals, "CELLS_AT_ONCE", 5000)
    counts_BS = np.hstack(
        list(intervals._drawn(50, 1030, generator=np.random.default_rng(0), rows_at_once=50))
    )
    assert counts_BS.shape == (50, 1030)
    assert set(counts_BS.sum(axis=0)) == {50}
    # Each count is nearly Poisson(1); the mean of 1,030 is within 0.16 of 1 (5 standard errors).
    assert counts_BS.mean(axis=1) == pytest.approx(np.ones(50), abs=0.16)
    assert counts_BS.var() == pytest.approx(1 - 1 / 50, rel=0.05)


def test_how_many_are_weighed_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    measures = [means({"mean": np.random.default_rng(0).normal(size=40)})]

    def drawn() -> np.ndarray:
        return intervals.resampled(measures, sizes=(40, 0), resamples=30, seed=1)["mean"]

    at_once = drawn()
    monkeypatch.setattr(intervals, "CELLS_AT_ONCE", 120)
    assert drawn() == pytest.approx(at_once, abs=1e-12)


def test_a_means_interval_is_1_96_standard_errors_wide_on_either_side():
    values_B = np.random.default_rng(0).normal(3.0, 2.0, size=900)
    measures, error = [means({"mean": values_B})], values_B.std() / np.sqrt(900)
    ends = intervals.intervals(measures, {"mean": values_B.mean()}, sizes=(900, 0), seed=3)
    assert ends["mean_ci_low"] == pytest.approx(values_B.mean() - 1.96 * error, abs=0.2 * error)
    assert ends["mean_ci_high"] == pytest.approx(values_B.mean() + 1.96 * error, abs=0.2 * error)


def test_the_interval_of_the_calibration_error_covers_what_other_rows_would_give():
    generator = np.random.default_rng(4)

    def calibrated() -> tuple[Measure, float]:
        confidence_B = 1 - 0.8 * generator.beta(1, 6, 400)
        measure = calibration_error(confidence_B, generator.random(400) < confidence_B)
        return measure, measured([measure], sizes=(400, 0))["ece"]

    expected = np.mean([calibrated()[1] for _ in range(500)])
    covered = 0
    for _ in range(100):
        measure, ece = calibrated()
        ends = intervals.intervals([measure], {"ece": ece}, sizes=(400, 0), seed=5)
        assert ends["ece_ci_low"] < ece < ends["ece_ci_high"]
        covered += ends["ece_ci_low"] <= expected <= ends["ece_ci_high"]
    assert covered >= 90


def test_an_interval_leaves_half_of_alpha_out_on_either_side():
    assert intervals.interval(np.arange(1001.0), alpha=0.05) == (25.0, 975.0)
    assert intervals.interval(np.arange(1001.0), alpha=0.5) == (250.0, 750.0)


def test_the_interval_of_a_mean_is_that_of_the_printed_table_of_students_t():
    # t(0.975; 2) = 4.303, t(0.95; 2) = 2.920. Of 4, 6, 8: mean 6, s = 2, so s / sqrt(3) = 1.1547.
    values_S = np.array([4.0, 6.0, 8.0])
    assert intervals.mean_interval(values_S) == pytest.approx((6 - 4.9686, 6 + 4.9686), abs=1e-3)
    assert intervals.mean_interval(values_S, alpha=0.1) == pytest.approx((6 - 3.3717, 6 + 3.3717), abs=1e-3)
    assert intervals.mean_interval(np.array([2.5, 2.5])) == (2.5, 2.5)
