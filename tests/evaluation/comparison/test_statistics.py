"""The statistics of paired answers, against SciPy and arithmetic done by hand."""

import numpy as np
import pytest
from scipy import stats

from intents.evaluation.comparison import statistics
from intents.evaluation.comparison.statistics import Answers

NAMES = {"accuracy", "f1_weighted", "f1_macro", "ece", "auroc", "fpr95"}


def answers(rows: int = 400, out_of_scope: int = 90, seed: int = 1) -> tuple[Answers, np.ndarray]:
    """Answers over 4 intents, one without a row and one never said, and the labels; energies tie."""
    generator = np.random.default_rng(seed)
    labels_B = generator.choice([0, 1, 3], p=[0.5, 0.4, 0.1], size=rows)
    said = np.where(generator.random(rows) < 0.6, labels_B, generator.integers(0, 3, rows))
    made = Answers(
        predicted_B=np.where(said == 3, 0, said),
        confidence_B=generator.uniform(0.3, 1.0, rows),
        energies_B=generator.normal(0.0, 1.0, rows).round(1),
        energies_N=generator.normal(1.0, 1.0, out_of_scope).round(1),
    )
    return made, labels_B


def resampled(first: Answers, second: Answers, labels_B: np.ndarray, *, resamples: int, seed: int) -> dict:
    sides = [side.measures(labels_B, number_of_intents=4) for side in (first, second)]
    sizes = len(labels_B), len(first.energies_N)
    return statistics.changes(*sides, sizes=sizes, resamples=resamples, seed=seed)


def test_the_bootstraps_spread_is_that_of_a_paired_difference():
    first, labels_B = answers()
    generator = np.random.default_rng(3)
    is_changed_B = generator.random(400) < 0.2
    said = np.where(is_changed_B, generator.integers(0, 3, 400), first.predicted_B)
    second = Answers(said, first.confidence_B, first.energies_B, first.energies_N)
    changes_S = resampled(first, second, labels_B, resamples=4000, seed=4)["accuracy"]
    fixed = ((said == labels_B) & (first.predicted_B != labels_B)).mean()
    broken = ((said != labels_B) & (first.predicted_B == labels_B)).mean()
    assert fixed > 0 < broken
    expected = np.sqrt((fixed + broken - (fixed - broken) ** 2) / 400)
    apart = np.sqrt(
        sum(p * (1 - p) / 400 for p in [(s == labels_B).mean() for s in (said, first.predicted_B)])
    )
    assert expected < 0.8 * apart, "as if unpaired"
    # The standard deviation of 4,000 draws is within 2.2 % of the true one in 95 of 100 cases.
    assert changes_S.std() == pytest.approx(expected, rel=0.05)
    assert changes_S.mean() == pytest.approx(fixed - broken, abs=4 * expected / np.sqrt(4000))


def test_both_models_answer_the_same_resamples_so_equal_ones_never_differ():
    made, labels_B = answers()
    changes = resampled(made, made, labels_B, resamples=250, seed=0)
    assert changes.keys() == NAMES
    assert {len(values_S) for values_S in changes.values()} == {250}
    assert not any(values_S.any() for values_S in changes.values())


def test_the_seed_decides_the_resamples():
    first, labels_B = answers()
    second, _ = answers(seed=9)
    drawn = [resampled(first, second, labels_B, resamples=200, seed=seed) for seed in (5, 5, 6)]
    assert all((drawn[0][name] == drawn[1][name]).all() for name in NAMES)
    assert all((drawn[0][name] != drawn[2][name]).any() for name in NAMES)


def test_mcnemars_p_is_the_exact_binomial_tests():
    # 1 broken and 7 fixed: two tails of (1 + 8) in 256 outcomes of eight coins.
    assert statistics.mcnemar(1, 7).item() == 18 / 256
    assert statistics.mcnemar(7, 1).item() == 18 / 256
    broken, fixed = np.array([0, 0, 1, 4, 30, 90, 5]), np.array([0, 5, 1, 4, 50, 40, 4])
    expected = [
        stats.binomtest(int(b), int(b + f), 0.5).pvalue if b + f else 1.0
        for b, f in zip(broken, fixed, strict=True)
    ]
    assert statistics.mcnemar(broken, fixed) == pytest.approx(np.array(expected))


def test_holm_multiplies_the_smallest_by_all_the_next_by_one_less_and_never_decreases():
    # Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 is 0.02, 0.03, 0.06, 0.04; the last is raised to 0.06.
    corrected = statistics.holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert corrected == pytest.approx(np.array([0.03, 0.06, 0.06, 0.02]))
    assert statistics.holm(np.array([0.6, 0.9])).tolist() == [1.0, 1.0]
    assert statistics.holm(np.array([0.03, 0.03])).tolist() == [0.06, 0.06]
    assert statistics.holm(np.array([])).tolist() == []
