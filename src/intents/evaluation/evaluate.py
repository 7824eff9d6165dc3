"""The metrics of a trained model, with intervals. Rows are true intents, columns predicted ones, everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax

from intents.axes import Booleans, Floats, Integers
from intents.evaluation import intervals
from intents.evaluation.metrics import (
    CALIBRATION_BINS,
    Measure,
    accepted_accuracy,
    calibration_error,
    classification,
    confidence_bin,
    count_metrics,
    f1_score,
    means,
    measured,
    ranking,
    rejection,
)
from intents.models.energy import energy, is_in_scope, negative_log_likelihoods

SERVICE_THRESHOLDS = (0.6, 0.7, 0.8)
"""Confidences from which the chat service acts, by mood."""


@dataclass(frozen=True)
class EvaluationReport:
    """What is known of a model on one part of a corpus.

    `metrics` by name, unprefixed, each with the ends of its 95 % interval, `…_ci_low` and `…_ci_high`. `per_intent`
    has precision, recall, f1-score and support, indexed by intent. `confusion_CC` counts rows.
    """

    metrics: dict[str, float]
    per_intent: pd.DataFrame
    confusion_CC: Integers

    def as_metrics(self, part: str) -> dict[str, float]:
        """The metrics, each name led by the part they were measured on."""
        return {f"{part}_{name}": value for name, value in self.metrics.items()}

    def as_table(self) -> pd.DataFrame:
        """One row an intent, then accuracy, macro avg and weighted avg, as scikit-learn's report has them."""
        columns = ["precision", "recall", "f1-score"]
        support = self.per_intent["support"]
        occurs = (support > 0) | (self.confusion_CC.sum(axis=0) > 0)
        averages = pd.DataFrame(
            {
                "accuracy": dict.fromkeys(columns, self.metrics["accuracy"]),
                "macro avg": self.per_intent.loc[occurs, columns].mean(),
                "weighted avg": self.per_intent[columns].mul(support, axis=0).sum() / support.sum(),
            }
        ).T
        return pd.concat([self.per_intent, averages.assign(support=support.sum())])


def evaluate(
    logits_BC: Floats,
    labels_B: Integers,
    *,
    intents: Sequence[str],
    threshold: float,
    out_of_scope_logits_NC: Floats | None = None,
    seed: int = 0,
) -> EvaluationReport:
    """Every metric of these in-scope rows, and the open-set ones where there are out-of-scope rows."""
    confusion_CC = confusion(labels_B, logits_BC.argmax(axis=-1), number_of_intents=len(intents))
    rejectable_NC = logits_BC[:0] if out_of_scope_logits_NC is None else out_of_scope_logits_NC
    measures = _measures(logits_BC, labels_B, rejectable_NC=rejectable_NC, threshold=threshold)
    sizes = len(labels_B), len(rejectable_NC)
    metrics = measured(measures, sizes=sizes)
    metrics |= intervals.intervals(measures, metrics, sizes=sizes, seed=seed)
    return EvaluationReport(metrics, _per_intent(confusion_CC, intents), confusion_CC)


def _measures(
    logits_BC: Floats, labels_B: Integers, *, rejectable_NC: Floats, threshold: float
) -> list[Measure]:
    predicted_B = logits_BC.argmax(axis=-1)
    energies_B, energies_N = energy(logits_BC), energy(rejectable_NC)
    is_accepted_B, is_accepted_N = (is_in_scope(energies, threshold) for energies in (energies_B, energies_N))
    in_scope = [
        classification(labels_B, predicted_B, number_of_intents=logits_BC.shape[1]),
        *_calibration_measures(logits_BC, labels_B),
        means({"osr_recall": is_accepted_B}),
        accepted_accuracy(is_accepted_B, predicted_B == labels_B),
    ]
    if not len(energies_N):
        return in_scope
    return [*in_scope, rejection(is_accepted_B, is_accepted_N), ranking(energies_B, energies_N)]


def confusion(labels_B: Integers, predicted_B: Integers, *, number_of_intents: int) -> Integers:
    """Counts of (true, predicted), shape (C, C)."""
    cells = labels_B.astype(np.int64) * number_of_intents + predicted_B
    counts = np.bincount(cells, minlength=number_of_intents**2)
    return counts.reshape(number_of_intents, number_of_intents)


def classification_metrics(confusion_CC: Integers) -> dict[str, float]:
    """Accuracy, and F1 weighted by support or averaged over the intents that occur (as scikit-learn has them)."""
    hits_C, support_C, predicted_C = np.diag(confusion_CC), confusion_CC.sum(axis=1), confusion_CC.sum(axis=0)
    metrics = count_metrics(hits_C, support_C, predicted_C=predicted_C)
    return {name: float(value) for name, value in metrics.items()}


def _per_intent(confusion_CC: Integers, intents: Sequence[str]) -> pd.DataFrame:
    """Precision, recall, F1 and support; 0 where the denominator is."""
    hits_C, support_C, predicted_C = np.diag(confusion_CC), confusion_CC.sum(axis=1), confusion_CC.sum(axis=0)
    table = {
        "precision": hits_C / np.maximum(predicted_C, 1),
        "recall": hits_C / np.maximum(support_C, 1),
        "f1-score": f1_score(hits_C, support_C, predicted_C=predicted_C),
        "support": support_C,
    }
    return pd.DataFrame(table, index=pd.Index(intents, name="intent"))


def calibration_metrics(logits_BC: Floats, labels_B: Integers) -> dict[str, float]:
    """How far the plain softmax can be believed. Lower is better in all three.

    ece: expected calibration error. brier: the summed squared error over intents (0 to 2). nll: in nats.
    """
    return measured(_calibration_measures(logits_BC, labels_B), sizes=(len(labels_B), 0))


def _calibration_measures(logits_BC: Floats, labels_B: Integers) -> list[Measure]:
    probabilities_BC = softmax(np.asarray(logits_BC, dtype=np.float64), axis=-1)
    is_right_B = probabilities_BC.argmax(axis=-1) == labels_B
    target_BC = np.eye(logits_BC.shape[1])[labels_B]
    brier_B = ((probabilities_BC - target_BC) ** 2).sum(axis=-1)
    nll_B = negative_log_likelihoods(logits_BC, labels_B)
    return [
        calibration_error(probabilities_BC.max(axis=-1), is_right_B),
        means({"brier": brier_B, "nll": nll_B}),
    ]


def reliability(confidence_B: Floats, is_right_B: Booleans) -> pd.DataFrame:
    """What a reliability diagram shows: of each bin of confidence that is not empty, indexed by its number from 0, its
    bounds (low excluded, high included), rows, mean confidence and accuracy.
    """
    bins = pd.DataFrame({"confidence": confidence_B, "accuracy": is_right_B.astype(float)})
    table = bins.groupby(pd.Index(confidence_bin(confidence_B), name="bin")).agg(
        rows=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    edges = np.arange(CALIBRATION_BINS + 1) / CALIBRATION_BINS
    return table.assign(low=edges[table.index], high=edges[table.index + 1])


def coverage(
    confidence_B: Floats,
    is_right_B: Booleans,
    *,
    thresholds: Sequence[float] = SERVICE_THRESHOLDS,
) -> pd.DataFrame:
    """What a service that acts from a confidence on does, one row a threshold: the share of messages it acts on, and
    the share of those that are wrong (0 where it acts on none).
    """
    acts = [confidence_B > threshold for threshold in thresholds]
    return pd.DataFrame(
        {
            "threshold": list(thresholds),
            "coverage": [float(acts_B.mean()) for acts_B in acts],
            "error": [float(1 - is_right_B[acts_B].mean()) if acts_B.any() else 0.0 for acts_B in acts],
        }
    )
