"""The statistics of paired answers, against SciPy, scikit-learn, and arithmetic done by hand."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax
from sklearn import metrics as reference

from intents import evaluation, open_set
from intents.comparison import statistics
from intents.comparison.statistics import Answers, Metrics

NAMES = {"accuracy", "f1_weighted", "f1_macro", "ece", "auroc", "fpr95"}


def answers(rows: int = 400, out_of_scope: int = 90, seed: int = 1) -> tuple[Answers, np.ndarray, np.ndarray]:
    """Answers over 4 intents, one without a row and one never said, and their logits and labels; energies tie."""
    generator = np.random.default_rng(seed)
    labels_B = generator.choice([0, 1, 3], p=[0.5, 0.4, 0.1], size=rows)
    logits_BC = generator.normal(size=(rows, 4))
    logits_BC[np.arange(rows), labels_B] += 1.5
    logits_BC[:, 3] = -9.0
    logits_BC = log_softmax(logits_BC, axis=1)
    made = Answers(
        predicted_B=logits_BC.argmax(axis=1),
        confidence_B=np.exp(logits_BC.max(axis=1)),
        energies_B=generator.normal(0.0, 1.0, rows).round(1),
        energies_N=generator.normal(1.0, 1.0, out_of_scope).round(1),
    )
    return made, logits_BC, labels_B


def ones(*shape: int) -> np.ndarray:
    return np.ones((*shape, 1))


def test_with_every_row_once_the_metrics_are_those_of_evaluation_and_open_set():
    made, logits_BC, labels_B = answers()
    assert set(labels_B) == {0, 1, 3}
    assert set(made.predicted_B) == {0, 1, 2}
    assert set(made.energies_B) & set(made.energies_N)
    found = Metrics(made, labels_B, number_of_intents=4).weighted(ones(400), ones(90))
    confusion_CC = evaluation.confusion(labels_B, made.predicted_B, number_of_intents=4)
    expected = evaluation.classification_metrics(confusion_CC)
    expected["ece"] = evaluation.calibration_metrics(logits_BC, labels_B)["ece"]
    ranking = open_set.ranking_metrics(made.energies_B, made.energies_N)
    expected |= {name: ranking[name] for name in ("auroc", "fpr95")}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, abs=1e-12)


def test_a_weight_counts_a_row_as_often_as_repeating_it_does():
    made, logits_BC, labels_B = answers()
    generator = np.random.default_rng(2)
    weights_B, weights_N = generator.integers(0, 4, 400), generator.integers(0, 4, 90)
    found = Metrics(made, labels_B, number_of_intents=4).weighted(
        weights_B[:, None].astype(float), weights_N[:, None].astype(float)
    )
    rows, others = np.repeat(np.arange(400), weights_B), np.repeat(np.arange(90), weights_N)
    true, said = labels_B[rows], made.predicted_B[rows]
    energies_B, energies_N = made.energies_B[rows], made.energies_N[others]
    positive = np.repeat([0, 1], [len(rows), len(others)])
    threshold = np.sort(energies_B)[int(np.ceil(0.95 * len(rows))) - 1]
    expected = {
        "accuracy": reference.accuracy_score(true, said),
        "f1_weighted": reference.f1_score(true, said, average="weighted", zero_division=0),
        "f1_macro": reference.f1_score(true, said, average="macro", zero_division=0),
        "ece": evaluation.calibration_metrics(logits_BC[rows], true)["ece"],
        "auroc": reference.roc_auc_score(positive, np.concatenate([energies_B, energies_N])),
        "fpr95": (energies_N <= threshold).mean(),
    }
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, abs=1e-12)


def test_energies_that_all_tie_rank_as_a_coin_would_and_accept_everything():
    made = Answers(np.array([0, 0]), np.array([0.9, 0.9]), np.zeros(2), np.zeros(3))
    found = Metrics(made, np.array([0, 0]), number_of_intents=1).weighted(ones(2), ones(3))
    assert found["auroc"].item() == 0.5
    assert found["fpr95"].item() == 1.0


def test_fpr95_is_taken_at_the_lowest_threshold_that_accepts_95_in_100():
    # Of energies 0 to 19 the threshold 18 accepts 19 in 20, which is enough: 18.5 is refused, 17.5 accepted.
    made = Answers(np.zeros(20, dtype=int), np.full(20, 0.9), np.arange(20.0), np.array([18.5, 17.5]))
    found = Metrics(made, np.zeros(20, dtype=int), number_of_intents=1).weighted(ones(20), ones(2))
    assert found["fpr95"].item() == 0.5
    assert open_set.ranking_metrics(made.energies_B, made.energies_N)["fpr95"] == 0.5


def test_an_answer_that_is_no_compared_intent_is_wrong_and_no_intents_prediction():
    made = Answers(np.array([0, 2, 1, 1]), np.full(4, 0.9), np.zeros(4), np.zeros(0))
    found = Metrics(made, np.array([0, 0, 1, 1]), number_of_intents=2).weighted(ones(4), ones(0))
    # F1 of intent 0: precision 1, recall 1/2, so 2/3; of intent 1: 1. Each has 2 of the 4 rows.
    assert found["accuracy"].item() == 0.75
    assert found["f1_weighted"].item() == pytest.approx(5 / 6)
    assert found["f1_macro"].item() == pytest.approx(5 / 6)
    assert not {"auroc", "fpr95"} & found.keys()


def resampled(first: Answers, second: Answers, labels_B: np.ndarray, *, resamples: int, seed: int) -> dict:
    sides = [Metrics(side, labels_B, number_of_intents=4) for side in (first, second)]
    return statistics.bootstrapped(
        *sides,
        rows=len(labels_B),
        out_of_scope_rows=len(first.energies_N),
        resamples=resamples,
        seed=seed,
    )


def test_the_bootstraps_spread_is_that_of_a_paired_difference():
    first, _, labels_B = answers()
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
    made, _, labels_B = answers()
    changes = resampled(made, made, labels_B, resamples=250, seed=0)
    assert changes.keys() == NAMES
    assert {len(values_S) for values_S in changes.values()} == {250}
    assert not any(values_S.any() for values_S in changes.values())


def test_the_seed_decides_the_resamples():
    first, _, labels_B = answers()
    second, _, _ = answers(seed=9)
    drawn = [resampled(first, second, labels_B, resamples=200, seed=seed) for seed in (5, 5, 6)]
    assert all((drawn[0][name] == drawn[1][name]).all() for name in NAMES)
    assert all((drawn[0][name] != drawn[2][name]).any() for name in NAMES)


def test_a_resample_has_as_many_rows_as_there_are_each_as_likely_as_the_other():
    counts_BS = np.hstack(list(statistics._drawn(50, 1030, np.random.default_rng(0))))
    assert counts_BS.shape == (50, 1030)
    assert set(counts_BS.sum(axis=0)) == {50}
    # Each count is nearly Poisson(1); the mean of 1,030 is within 0.16 of 1 (5 standard errors).
    assert counts_BS.mean(axis=1) == pytest.approx(np.ones(50), abs=0.16)
    assert counts_BS.var() == pytest.approx(1 - 1 / 50, rel=0.05)


def test_an_interval_leaves_half_of_alpha_out_on_either_side():
    assert statistics.interval(np.arange(1001.0), alpha=0.05) == (25.0, 975.0)
    assert statistics.interval(np.arange(1001.0), alpha=0.5) == (250.0, 750.0)


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
