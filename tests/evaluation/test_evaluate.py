"""Metrics, against scikit-learn and arithmetic done by hand. Rows are true intents, columns predicted ones."""

import numpy as np
import pytest
from sklearn import metrics as reference

from intents.evaluation import evaluate as evaluation
from intents.evaluation.evaluate import EvaluationReport, evaluate

INTENTS = ("a", "b", "c", "never tested", "never seen")


def predictions(count: int = 300, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels of five intents, about 60 % right; the fourth has no row, the fifth is never predicted."""
    generator = np.random.default_rng(seed)
    labels_B = generator.choice([0, 1, 2], p=[0.6, 0.3, 0.1], size=count)
    logits_BC = generator.normal(size=(count, 5))
    logits_BC[np.arange(count), labels_B] += 1.5
    logits_BC[:, 4] = -9.0
    return logits_BC, labels_B


LOGITS, LABELS = predictions()
PREDICTED = LOGITS.argmax(axis=1)
OUT_OF_SCOPE = np.random.default_rng(6).normal(size=(120, 5)) * 0.8
THRESHOLD = -2.0
# ln(e + 1): the energy of logits (1, 0) is minus this.
IN, OUT = np.array([[5.0, 0.0], [4.0, 0.0], [0.0, 3.0], [1.0, 0.0]]), np.array([[3.5, 0.0], [0.0, 0.0]])


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    return evaluate(
        LOGITS, LABELS, intents=INTENTS, threshold=THRESHOLD, out_of_scope_logits_NC=OUT_OF_SCOPE, seed=1
    )


def test_the_fixture_has_an_untested_intent_that_is_predicted_and_one_that_never_occurs() -> None:
    assert set(LABELS) == {0, 1, 2}
    assert set(PREDICTED) == {0, 1, 2, 3}


def test_accuracy_and_f1_are_scikit_learns(report: EvaluationReport) -> None:
    assert report.metrics["accuracy"] == pytest.approx(reference.accuracy_score(LABELS, PREDICTED))
    for average in ("weighted", "macro"):
        expected = reference.f1_score(LABELS, PREDICTED, average=average, zero_division=0)
        assert report.metrics[f"f1_{average}"] == pytest.approx(expected)


def test_confusion_rows_are_true_intents_and_columns_predicted_ones(report: EvaluationReport) -> None:
    expected = reference.confusion_matrix(LABELS, PREDICTED, labels=range(5))
    assert (expected != expected.T).any()
    assert report.confusion_CC.tolist() == expected.tolist()


def test_the_table_is_scikit_learns_report_row_for_row(report: EvaluationReport) -> None:
    expected = reference.classification_report(
        LABELS, PREDICTED, labels=range(5), target_names=INTENTS, output_dict=True, zero_division=0
    )
    accuracy = expected.pop("accuracy")
    # As f1_score has it, the macro average is over the intents that occur.
    occurring = sorted({*LABELS.tolist(), *PREDICTED.tolist()})
    expected["macro avg"] = reference.classification_report(
        LABELS, PREDICTED, labels=occurring, output_dict=True, zero_division=0
    )["macro avg"]
    table = report.as_table()
    assert table.index.tolist() == [*INTENTS, "accuracy", "macro avg", "weighted avg"]
    for name, row in expected.items():
        assert table.loc[name].to_dict() == pytest.approx(row), name
    assert table.loc["accuracy"].tolist() == pytest.approx([accuracy, accuracy, accuracy, 300])


def test_ranking_metrics_are_scikit_learns_with_in_scope_as_the_lower_energy(
    report: EvaluationReport,
) -> None:
    energies = -np.log(np.exp(np.concatenate([LOGITS, OUT_OF_SCOPE])).sum(axis=1))
    is_out = np.repeat([0, 1], [300, 120])
    assert report.metrics["auroc"] == pytest.approx(reference.roc_auc_score(is_out, energies))
    assert 0.5 < report.metrics["auroc"] < 1
    aupr_in = reference.average_precision_score(1 - is_out, -energies)
    assert report.metrics["aupr_in"] == pytest.approx(aupr_in)
    assert report.metrics["aupr_out"] == pytest.approx(reference.average_precision_score(is_out, energies))
    false_rates, true_rates, _ = reference.roc_curve(1 - is_out, -energies, drop_intermediate=False)
    assert report.metrics["fpr95"] == pytest.approx(false_rates[true_rates >= 0.95][0])
    assert report.metrics["aupr_in"] != pytest.approx(report.metrics["aupr_out"], abs=0.05)


def test_accepting_and_rejecting_are_scikit_learns_with_in_scope_as_the_positive_class(
    report: EvaluationReport,
) -> None:
    accepted = np.log(np.exp(np.concatenate([LOGITS, OUT_OF_SCOPE])).sum(axis=1)) >= -THRESHOLD
    is_in = np.repeat([1, 0], [300, 120])
    for name in ("accuracy", "precision", "recall", "f1"):
        expected = getattr(reference, f"{name}_score")(is_in, accepted)
        assert report.metrics[f"osr_{name}"] == pytest.approx(expected), name
    oos_recall = reference.recall_score(is_in, accepted, pos_label=0)
    assert report.metrics["oos_recall"] == pytest.approx(oos_recall)
    assert 0 < oos_recall < 1


def test_open_set_metrics_of_six_utterances_are_those_counted_by_hand() -> None:
    # Accepted at -3.3: the in-scope energies near -5.01 and -4.02, the out-of-scope one near -3.53; the third
    # in-scope one (-3.05) and the fourth (-1.31) are rejected, and so is the other out-of-scope one (-0.69).
    labels_B = np.array([0, 1, 1, 0])
    metrics = evaluate(IN, labels_B, intents=("a", "b"), threshold=-3.3, out_of_scope_logits_NC=OUT).metrics
    assert metrics["osr_recall"] == 2 / 4
    assert metrics["osr_precision"] == pytest.approx(2 / 3)
    assert metrics["osr_f1"] == pytest.approx(4 / 7)
    assert metrics["osr_accuracy"] == 3 / 6
    assert metrics["oos_recall"] == 1 / 2
    assert metrics["accepted_accuracy"] == 1 / 2  # of the first two, the second is wrong
    # Of 4 x 2 pairs the out-of-scope one has the higher energy in all but two: -3.53 lies below -3.05 and -1.31.
    assert metrics["auroc"] == 6 / 8
    # Accepting 95 % of four means accepting all four, at -1.31: only the -3.53 comes in too.
    assert metrics["fpr95"] == 1 / 2


def test_without_out_of_scope_rows_only_what_in_scope_rows_tell_is_measured() -> None:
    for nothing in (None, np.empty((0, 2))):
        metrics = evaluate(
            IN, np.array([0, 0, 1, 0]), intents=("a", "b"), threshold=-3.3, out_of_scope_logits_NC=nothing
        ).metrics
        assert [metrics["osr_recall"], metrics["accepted_accuracy"]] == [0.5, 1.0]
        assert not {"auroc", "fpr95", "osr_precision", "oos_recall"} & metrics.keys()


def test_a_threshold_that_accepts_nothing_gives_zeros_not_errors() -> None:
    labels_B = np.array([0, 0, 1, 0])
    metrics = evaluate(IN, labels_B, intents=("a", "b"), threshold=-99.0, out_of_scope_logits_NC=OUT).metrics
    assert [metrics[f"osr_{name}"] for name in ("recall", "precision", "f1")] == [0, 0, 0]
    assert metrics["accepted_accuracy"] == 0
    assert metrics["oos_recall"] == 1


def test_calibration_of_four_utterances_is_that_worked_out_by_hand() -> None:
    # Confidences 0.9, 0.9 (one right of two), 0.6 (wrong), 0.8 (right), in three of the 15 bins.
    probabilities_BC = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    metrics = evaluation.calibration_metrics(np.log(probabilities_BC), np.array([0, 1, 1, 1]))
    assert metrics["ece"] == pytest.approx((abs(1 - 1.8) + abs(0 - 0.6) + abs(1 - 0.8)) / 4)
    assert metrics["brier"] == pytest.approx((2 * 0.01 + 2 * 0.81 + 2 * 0.36 + 2 * 0.04) / 4)
    assert metrics["nll"] == pytest.approx(-np.log([0.9, 0.1, 0.4, 0.8]).mean())


def test_calibration_is_scikit_learns_where_it_has_it(report: EvaluationReport) -> None:
    probabilities_BC = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    nll = reference.log_loss(LABELS, probabilities_BC, labels=range(5))
    assert report.metrics["nll"] == pytest.approx(nll)
    brier = ((probabilities_BC - np.eye(5)[LABELS]) ** 2).sum(axis=1).mean()
    assert report.metrics["brier"] == pytest.approx(brier)


def test_bootstrap_intervals_have_the_width_that_the_binomial_gives(report: EvaluationReport) -> None:
    accuracy = report.metrics["accuracy"]
    margin = 1.96 * np.sqrt(accuracy * (1 - accuracy) / 300)
    assert report.metrics["accuracy_ci_low"] == pytest.approx(accuracy - margin, abs=0.01)
    assert report.metrics["accuracy_ci_high"] == pytest.approx(accuracy + margin, abs=0.01)


def test_every_metric_has_an_interval_around_it(report: EvaluationReport) -> None:
    names = {name for name in report.metrics if not name.endswith(("_ci_low", "_ci_high"))}
    assert {"f1_weighted", "f1_macro", "ece", "brier", "nll", "auroc", "aupr_in", "fpr95", "osr_f1"} < names
    for name in names:
        assert report.metrics[f"{name}_ci_low"] < report.metrics[name] < report.metrics[f"{name}_ci_high"]


def test_no_two_measures_give_the_same_metric() -> None:
    measures = evaluation._measures(LOGITS, LABELS, rejectable_NC=OUT_OF_SCOPE, threshold=THRESHOLD)
    once = np.ones((300, 1)), np.ones((120, 1))
    names = [name for measure in measures for name in measure(*once)]
    assert len(names) == len(set(names)) > 10


def test_the_interval_of_auroc_has_the_width_that_delong_gives(report: EvaluationReport) -> None:
    in_scope, out_of_scope = (-np.log(np.exp(logits).sum(axis=1)) for logits in (LOGITS, OUT_OF_SCOPE))
    is_ordered = out_of_scope[:, None] > in_scope
    error = np.sqrt(is_ordered.mean(axis=0).var() / 300 + is_ordered.mean(axis=1).var() / 120)
    width = report.metrics["auroc_ci_high"] - report.metrics["auroc_ci_low"]
    assert width == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_a_report_is_the_same_every_time_for_the_same_seed(report: EvaluationReport) -> None:
    arguments = {"intents": INTENTS, "threshold": THRESHOLD, "out_of_scope_logits_NC": OUT_OF_SCOPE}
    assert evaluate(LOGITS, LABELS, **arguments, seed=1).metrics == report.metrics
    assert evaluate(LOGITS, LABELS, **arguments, seed=2).metrics != report.metrics


def test_metrics_are_named_after_the_part_they_were_measured_on(report: EvaluationReport) -> None:
    named = report.as_metrics("test")
    assert len(named) == len(report.metrics)
    assert named["test_auroc"] == report.metrics["auroc"]


def test_a_reliability_diagram_has_the_bins_that_hold_rows_and_gives_the_calibration_error() -> None:
    confidence_B = np.array([0.9, 0.9, 0.6, 0.8, 1.0, 1 / 15])
    is_right_B = np.array([True, False, False, True, True, False])
    table = evaluation.reliability(confidence_B, is_right_B)
    # The upper end belongs to a bin: 0.6 to the ninth, 0.8 to the twelfth, 1/15 to the first.
    assert table.index.tolist() == [0, 8, 11, 13, 14]
    assert table["rows"].tolist() == [1, 1, 1, 2, 1]
    assert table["accuracy"].tolist() == [0.0, 0.0, 1.0, 0.5, 1.0]
    assert table["confidence"].tolist() == pytest.approx([1 / 15, 0.6, 0.8, 0.9, 1.0])
    assert table["high"].tolist() == pytest.approx([1 / 15, 9 / 15, 12 / 15, 14 / 15, 1.0])
    assert ((table["low"] < table["confidence"]) & (table["confidence"] <= table["high"] + 1e-12)).all()


def test_a_service_acts_above_its_threshold_and_errs_in_a_share_of_what_it_acts_on() -> None:
    confidence_B = np.array([0.95, 0.85, 0.75, 0.65, 0.6])
    is_right_B = np.array([True, False, True, False, False])
    table = evaluation.coverage(confidence_B, is_right_B, thresholds=(0.6, 0.8, 0.99))
    assert table["threshold"].tolist() == [0.6, 0.8, 0.99]
    assert table["coverage"].tolist() == pytest.approx([4 / 5, 2 / 5, 0.0])
    assert table["error"].tolist() == pytest.approx([2 / 4, 1 / 2, 0.0])
