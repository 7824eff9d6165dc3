"""Metrics of weighted rows, against scikit-learn on rows that are repeated, and arithmetic done by hand."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn import metrics as reference

from intents.evaluation.metrics import (
    Measure,
    accepted_accuracy,
    calibration_error,
    classification,
    means,
    measured,
    ranking,
    rejection,
)

THRESHOLD = 0.4


class Rows:
    """Rows of 4 intents, one without a row and one never predicted; energies in tenths, so that many tie."""

    def __init__(self, rows: int = 400, out_of_scope: int = 90) -> None:
        generator = np.random.default_rng(1)
        self.labels_B = generator.choice([0, 1, 3], p=[0.5, 0.4, 0.1], size=rows)
        logits_BC = generator.normal(size=(rows, 4))
        logits_BC[np.arange(rows), self.labels_B] += 1.5
        logits_BC[:, 3] = -9.0
        self.probabilities_BC = np.exp(log_softmax(logits_BC, axis=1))
        self.energies_B = generator.normal(0.0, 1.0, rows).round(1)
        self.energies_N = generator.normal(1.0, 1.0, out_of_scope).round(1)

    def repeated(self, weights_B: np.ndarray, weights_N: np.ndarray) -> "Rows":
        """The same rows, each as often as its weight says."""
        made = Rows()
        for name in ("labels_B", "probabilities_BC", "energies_B"):
            setattr(made, name, np.repeat(getattr(self, name), weights_B, axis=0))
        made.energies_N = np.repeat(self.energies_N, weights_N)
        return made

    def is_right(self) -> np.ndarray:
        return self.probabilities_BC.argmax(axis=1) == self.labels_B

    def measures(self) -> list[Measure]:
        is_accepted_B = self.energies_B <= THRESHOLD
        return [
            classification(self.labels_B, self.probabilities_BC.argmax(axis=1), number_of_intents=4),
            calibration_error(self.probabilities_BC.max(axis=1), self.is_right()),
            means({"energy": self.energies_B}),
            means({"osr_recall": is_accepted_B}),
            accepted_accuracy(is_accepted_B, self.is_right()),
            rejection(is_accepted_B, self.energies_N <= THRESHOLD),
            ranking(self.energies_B, self.energies_N),
        ]

    def expected(self) -> dict[str, float]:
        """By scikit-learn where it has the metric."""
        said = self.probabilities_BC.argmax(axis=1)
        energies = np.concatenate([self.energies_B, self.energies_N])
        is_in = np.repeat([1, 0], [len(self.energies_B), len(self.energies_N)])
        is_accepted = energies <= THRESHOLD
        lowest = np.sort(self.energies_B)[int(np.ceil(0.95 * len(self.energies_B))) - 1]
        f1 = {
            f"f1_{average}": reference.f1_score(self.labels_B, said, average=average, zero_division=0)
            for average in ("weighted", "macro")
        }
        osr = {
            f"osr_{name}": getattr(reference, f"{name}_score")(is_in, is_accepted)
            for name in ("accuracy", "precision", "recall", "f1")
        }
        return {
            "accuracy": reference.accuracy_score(self.labels_B, said),
            **f1,
            "ece": self.calibration_error(),
            "energy": self.energies_B.mean(),
            "accepted_accuracy": self.is_right()[self.energies_B <= THRESHOLD].mean(),
            **osr,
            "oos_recall": reference.recall_score(is_in, is_accepted, pos_label=0),
            "auroc": reference.roc_auc_score(is_in, -energies),
            "aupr_in": reference.average_precision_score(is_in, -energies),
            "aupr_out": reference.average_precision_score(1 - is_in, energies),
            "fpr95": (self.energies_N <= lowest).mean(),
        }

    def calibration_error(self) -> float:
        confidence_B, gap = self.probabilities_BC.max(axis=1), 0.0
        for number in range(15):
            is_in_bin = (confidence_B > number / 15) & (confidence_B <= (number + 1) / 15)
            gap += abs((self.is_right()[is_in_bin] - confidence_B[is_in_bin]).sum())
        return gap / len(confidence_B)


def test_with_every_row_once_the_metrics_are_scikit_learns():
    rows = Rows()
    assert set(rows.labels_B) == {0, 1, 3}
    assert set(rows.probabilities_BC.argmax(axis=1)) == {0, 1, 2}
    assert set(rows.energies_B) & set(rows.energies_N)
    found = measured(rows.measures(), sizes=(400, 90))
    assert found == pytest.approx(rows.expected(), abs=1e-12)


def test_a_weight_counts_a_row_as_often_as_repeating_it_does():
    rows, generator = Rows(), np.random.default_rng(2)
    weights_BS, weights_NS = generator.integers(0, 4, (400, 3)), generator.integers(0, 4, (90, 3))
    found = {
        name: value_S
        for measure in rows.measures()
        for name, value_S in measure(weights_BS.astype(float), weights_NS.astype(float)).items()
    }
    for column in range(3):
        expected = rows.repeated(weights_BS[:, column], weights_NS[:, column]).expected()
        assert {name: value_S[column] for name, value_S in found.items()} == pytest.approx(
            expected, abs=1e-12
        )


def test_energies_that_all_tie_rank_as_a_coin_would_and_accept_everything():
    found = measured([ranking(np.zeros(2), np.zeros(3))], sizes=(2, 3))
    assert found == {"auroc": 0.5, "aupr_in": 2 / 5, "aupr_out": 3 / 5, "fpr95": 1.0}


def test_an_answer_that_is_no_compared_intent_is_wrong_and_no_intents_prediction():
    said = classification(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]), number_of_intents=2)
    found = measured([said], sizes=(4, 0))
    # F1 of intent 0: precision 1, recall 1/2, so 2/3; of intent 1: 1. Each has 2 of the 4 rows.
    assert found == pytest.approx({"accuracy": 0.75, "f1_weighted": 5 / 6, "f1_macro": 5 / 6})


def test_where_nothing_is_accepted_shares_of_it_are_0():
    nothing = np.zeros(3, dtype=bool)
    measures = [
        means({"osr_recall": nothing}),
        accepted_accuracy(nothing, ~nothing),
        rejection(nothing, nothing),
    ]
    found = measured(measures, sizes=(3, 3))
    assert found == {
        "osr_recall": 0.0,
        "accepted_accuracy": 0.0,
        "osr_accuracy": 0.5,
        "osr_precision": 0.0,
        "osr_f1": 0.0,
        "oos_recall": 1.0,
    }
