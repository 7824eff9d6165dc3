"""How well scores tell in-scope from out-of-scope, against torchmetrics, scikit-learn and brute force.

torchmetrics reads what lies outside 0 to 1 as logits and rounds it, so it is given dense ranks: the same order,
the same ties.
"""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import rankdata
from sklearn.metrics import classification_report
from torchmetrics.functional.classification import (
    binary_accuracy,
    binary_auroc,
    binary_average_precision,
    binary_f1_score,
    binary_precision,
    binary_recall,
    binary_specificity,
    binary_specificity_at_sensitivity,
    multiclass_accuracy,
    multiclass_f1_score,
)

from intents.evaluation import open_set


def normal(count: int, mean: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, size=count)


SCORES = {
    "overlapping": (normal(211, -1, 0), normal(97, 1, 1)),
    "few in-scope": (normal(19, -1, 2), normal(400, 0.5, 3)),
    "many ties": (normal(150, -1, 4).round(), normal(80, 0, 5).round()),
    "reversed": (normal(60, 2, 6), normal(70, -2, 7)),
    "separated": (normal(40, -20, 8), normal(30, 20, 9)),
    "all equal": (np.full(20, 3.0), np.full(7, 3.0)),
    "one of each": (np.array([-1.0]), np.array([2.0])),
    "in float32": (normal(50, -9, 10).astype(np.float32), normal(50, -8, 11).astype(np.float32)),
}
CASES = pytest.mark.parametrize(("in_scope", "out_of_scope"), SCORES.values(), ids=SCORES.keys())


def in_scope_likelier(in_scope: np.ndarray, out_of_scope: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Preferences in 0 to 1 that rank as the scores do, lower scores higher, and 1 for each in-scope row."""
    ranks = rankdata(-np.concatenate([in_scope, out_of_scope]), method="dense")
    is_in = [1] * len(in_scope) + [0] * len(out_of_scope)
    return torch.tensor(ranks / (ranks.max() + 1)), torch.tensor(is_in)


def average_precision(positive: np.ndarray, negative: np.ndarray) -> float:
    """Precision at each distinct score, weighted by the recall gained there; higher scores are more positive."""
    total, recalled = Fraction(0), 0
    for threshold in sorted({*positive.tolist(), *negative.tolist()}, reverse=True):
        hits, false_hits = int((positive >= threshold).sum()), int((negative >= threshold).sum())
        total += Fraction(hits - recalled, len(positive)) * Fraction(hits, hits + false_hits)
        recalled = hits
    return float(total)


@CASES
def test_ranking_metrics_are_torchmetrics(in_scope: np.ndarray, out_of_scope: np.ndarray) -> None:
    preferences, is_in = in_scope_likelier(in_scope, out_of_scope)
    specificity, _ = binary_specificity_at_sensitivity(preferences, is_in, min_sensitivity=0.95)
    expected = {
        "auroc": float(binary_auroc(preferences, is_in)),
        "aupr_in": float(binary_average_precision(preferences, is_in)),
        "aupr_out": float(binary_average_precision(1 - preferences, 1 - is_in)),
        "fpr95": 1 - float(specificity),
    }
    assert open_set.ranking_metrics(in_scope, out_of_scope) == pytest.approx(expected, abs=1e-6)


@CASES
def test_ranking_metrics_are_those_of_brute_force(in_scope: np.ndarray, out_of_scope: np.ndarray) -> None:
    found = open_set.ranking_metrics(in_scope, out_of_scope)
    higher = (out_of_scope[:, None] > in_scope).mean() + (out_of_scope[:, None] == in_scope).mean() / 2
    assert found["auroc"] == pytest.approx(higher)
    assert found["aupr_in"] == pytest.approx(average_precision(-in_scope, -out_of_scope))
    assert found["aupr_out"] == pytest.approx(average_precision(out_of_scope, in_scope))


@CASES
def test_fpr95_is_the_lowest_over_all_thresholds_that_accept_95_percent(
    in_scope: np.ndarray, out_of_scope: np.ndarray
) -> None:
    rates = [
        (out_of_scope <= threshold).mean()
        for threshold in [*in_scope, *out_of_scope]
        if Fraction(int((in_scope <= threshold).sum()), len(in_scope)) >= Fraction(95, 100)
    ]
    assert open_set.ranking_metrics(in_scope, out_of_scope)["fpr95"] == min(rates)


def test_fpr95_allows_5_percent_of_in_scope_to_be_rejected() -> None:
    in_scope = np.arange(20.0)  # 19 of 20 are accepted at 18
    out_of_scope = np.array([17.5, 18.0, 18.5, 30.0, 40.0])
    assert open_set.ranking_metrics(in_scope, out_of_scope)["fpr95"] == 2 / 5


@pytest.mark.parametrize("threshold", [-1.5, 0.0, 1.0])
def test_rejection_metrics_are_torchmetrics_with_in_scope_as_the_positive_class(threshold: float) -> None:
    in_scope, out_of_scope = SCORES["overlapping"]
    is_in = torch.tensor([1] * len(in_scope) + [0] * len(out_of_scope))
    accepted = torch.tensor(np.concatenate([in_scope, out_of_scope]) <= threshold).int()
    assert 0 < accepted.float().mean() < 1
    expected = {
        "osr_accuracy": binary_accuracy(accepted, is_in),
        "osr_precision": binary_precision(accepted, is_in),
        "osr_recall": binary_recall(accepted, is_in),
        "osr_f1": binary_f1_score(accepted, is_in),
        "oos_recall": binary_specificity(accepted, is_in),
    }
    found = open_set.rejection_metrics(in_scope, out_of_scope, threshold=threshold)
    assert found == pytest.approx({name: float(value) for name, value in expected.items()}, abs=1e-6)


def test_each_kind_is_measured_on_its_own_against_all_in_scope_rows() -> None:
    in_scope = np.array([-5.0, -4.0, -3.0, -1.0])
    table = open_set.by_kind(
        in_scope, {"far": np.array([0.0, 1.0]), "near": np.array([-4.5, -2.0, 2.0])}, threshold=-2.5
    )
    assert (table.index.name, list(table.index)) == ("kind", ["far", "near"])
    # far: all 4 x 2 pairs are in order. near: -4.5 has 1 of 4 below it, -2.0 3 of 4, 2.0 all 4: 8 of 12 pairs.
    assert table["rows"].tolist() == [2, 3]
    assert table["auroc"].tolist() == pytest.approx([1, 8 / 12])
    assert table["oos_recall"].tolist() == pytest.approx([1, 2 / 3])
    assert table["osr_recall"].tolist() == [3 / 4, 3 / 4]
    assert table["osr_precision"].tolist() == pytest.approx([1, 3 / 4])
    assert table["osr_accuracy"].tolist() == pytest.approx([5 / 6, 5 / 7])
    assert table["fpr95"].tolist() == pytest.approx([0, 2 / 3])  # accepting all four, at -1


# true, predicted, accepted: rejected, the predictions are a, b, open, open, b.
TABLE = pd.DataFrame(
    [("a", "a", True), ("a", "b", True), ("b", "b", False), ("", "a", False), ("", "b", True)],
    columns=["true_intent", "pred_intent", "in_scope"],
)


def test_open_intent_metrics_of_five_utterances_are_those_counted_by_hand() -> None:
    # a: 1 found of 2, none wrongly, F1 2/3. b: none found, F1 0. open: 1 found of 2, 1 wrongly, F1 1/2.
    assert open_set.open_intent_metrics(TABLE, intents=("a", "b")) == pytest.approx(
        {"accuracy": 2 / 5, "f1_known": 1 / 3, "f1_open": 1 / 2, "f1_all": 7 / 18}
    )


def test_a_supported_intent_without_a_test_row_counts_as_never_found() -> None:
    # As above, and c: no row, none found, F1 0, in both means.
    found = open_set.open_intent_metrics(TABLE, intents=("a", "b", "c"))
    assert (found["f1_known"], found["f1_all"]) == pytest.approx((2 / 9, 7 / 24))


@pytest.mark.parametrize("seed", range(3))
def test_open_intent_metrics_are_torchmetrics_and_scikit_learns(seed: int) -> None:
    generator = np.random.default_rng(seed)
    names = np.array(["", "a", "b", "c", "d"])  # the open intent is number 0
    true = generator.integers(0, 5, 200)
    guess = np.where(generator.random(200) < 0.6, true, generator.integers(0, 5, 200))
    best = np.where(
        guess == 0, generator.integers(1, 5, 200), guess
    )  # what is rejected has a best intent too
    table = pd.DataFrame({"true_intent": names[true], "pred_intent": names[best], "in_scope": guess != 0})
    found = open_set.open_intent_metrics(table, intents=names[1:].tolist())
    guesses, trues = torch.tensor(guess), torch.tensor(true)
    f1 = multiclass_f1_score(guesses, trues, num_classes=5, average=None)
    accuracy = multiclass_accuracy(guesses, trues, num_classes=5, average="micro")
    assert found == pytest.approx(
        {
            "accuracy": float(accuracy),
            "f1_known": float(f1[1:].mean()),
            "f1_open": float(f1[0]),
            "f1_all": float(f1.mean()),
        },
        abs=1e-6,
    )
    report = classification_report(true, guess, output_dict=True)
    assert found["f1_all"] == pytest.approx(report["macro avg"]["f1-score"])
    assert found["f1_open"] == pytest.approx(report["0"]["f1-score"])
    assert found["accuracy"] == pytest.approx(report["accuracy"])
