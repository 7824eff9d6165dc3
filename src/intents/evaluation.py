"""The metrics of a trained model, with intervals. Rows are true intents, columns predicted ones, everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import softmax

from intents import open_set
from intents.scoring import Floats, Integers, energy, is_in_scope, negative_log_likelihood

CALIBRATION_BINS = 15
SERVICE_THRESHOLDS = (0.6, 0.7, 0.8)
"""Confidences from which the chat service acts, by mood."""
BOOTSTRAP_SAMPLES = 1000
INTERVAL = (2.5, 97.5)
Counts = npt.NDArray[np.number]


@dataclass(frozen=True)
class EvaluationReport:
    """What is known of a model on one part of a corpus.

    `metrics` by name, unprefixed, with `…_ci_low` and `…_ci_high` beside the bootstrapped ones. `per_intent`
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
    predicted_B = logits_BC.argmax(axis=-1)
    confusion_CC = confusion(labels_B, predicted_B, number_of_intents=len(intents))
    precision_C, recall_C, f1_C, support_C = _per_intent(confusion_CC)
    per_intent = pd.DataFrame(
        {"precision": precision_C, "recall": recall_C, "f1-score": f1_C, "support": support_C},
        index=pd.Index(intents, name="intent"),
    )
    metrics = classification_metrics(confusion_CC) | _intervals(labels_B, predicted_B, len(intents), seed)
    metrics |= calibration_metrics(logits_BC, labels_B)
    metrics |= open_set_metrics(logits_BC, labels_B, out_of_scope_logits_NC, threshold=threshold)
    return EvaluationReport(metrics, per_intent, confusion_CC)


def confusion(labels_B: Integers, predicted_B: Integers, *, number_of_intents: int) -> Integers:
    """Counts of (true, predicted), shape (C, C)."""
    cells = labels_B.astype(np.int64) * number_of_intents + predicted_B
    counts = np.bincount(cells, minlength=number_of_intents**2)
    return counts.reshape(number_of_intents, number_of_intents)


def classification_metrics(confusion_CC: Integers) -> dict[str, float]:
    """Accuracy, and F1 weighted by support or averaged over the intents that occur (as scikit-learn has them)."""
    counts = np.diag(confusion_CC), confusion_CC.sum(axis=1), confusion_CC.sum(axis=0)
    return {name: float(value) for name, value in count_metrics(*counts).items()}


def count_metrics(hits_C: Counts, support_C: Counts, predicted_C: Counts) -> dict[str, Floats]:
    """`classification_metrics` of rows counted by intent: right, true and predicted ones.

    Intents are the last axis; each metric has the axes before it.
    """
    f1_C, rows = f1_score(hits_C, support_C, predicted_C), support_C.sum(axis=-1)
    occurs_C = support_C + predicted_C > 0
    return {
        "accuracy": hits_C.sum(axis=-1) / rows,
        "f1_weighted": (f1_C * support_C).sum(axis=-1) / rows,
        "f1_macro": (f1_C * occurs_C).sum(axis=-1) / occurs_C.sum(axis=-1),
    }


def f1_score(hits_C: Counts, support_C: Counts, predicted_C: Counts) -> Floats:
    """F1 of each intent; 0 where it neither occurs nor is predicted."""
    f1_C: Floats = 2 * hits_C / np.maximum(support_C + predicted_C, 1)
    return f1_C


def _per_intent(confusion_CC: Integers) -> tuple[Floats, Floats, Floats, Integers]:
    """Precision, recall, F1 and support, each of shape (C,); 0 where the denominator is."""
    hits_C, support_C, predicted_C = np.diag(confusion_CC), confusion_CC.sum(axis=1), confusion_CC.sum(axis=0)
    precision_C = hits_C / np.maximum(predicted_C, 1)
    recall_C = hits_C / np.maximum(support_C, 1)
    return precision_C, recall_C, f1_score(hits_C, support_C, predicted_C), support_C


def _intervals(
    labels_B: Integers, predicted_B: Integers, number_of_intents: int, seed: int
) -> dict[str, float]:
    """95 % percentile bootstrap intervals over rows."""
    generator = np.random.default_rng(seed)
    samples = []
    for _ in range(BOOTSTRAP_SAMPLES):
        rows = generator.integers(0, len(labels_B), len(labels_B))
        drawn = confusion(labels_B[rows], predicted_B[rows], number_of_intents=number_of_intents)
        samples.append(classification_metrics(drawn))
    intervals: dict[str, float] = {}
    for name in samples[0]:
        low, high = np.percentile([sample[name] for sample in samples], INTERVAL)
        intervals |= {f"{name}_ci_low": float(low), f"{name}_ci_high": float(high)}
    return intervals


def calibration_metrics(logits_BC: Floats, labels_B: Integers) -> dict[str, float]:
    """How far the plain softmax can be believed. Lower is better in all three.

    ece: expected calibration error over 15 equal-width bins of confidence (Guo et al. 2017). brier: the summed
    squared error over intents (0 to 2). nll: in nats.
    """
    probabilities_BC = softmax(np.asarray(logits_BC, dtype=np.float64), axis=-1)
    bins = reliability(probabilities_BC.max(axis=-1), probabilities_BC.argmax(axis=-1) == labels_B)
    gap = (bins["accuracy"] - bins["confidence"]).abs()
    target_BC = np.eye(logits_BC.shape[1])[labels_B]
    return {
        "ece": float((gap * bins["rows"]).sum() / len(labels_B)),
        "brier": float(((probabilities_BC - target_BC) ** 2).sum(axis=-1).mean()),
        "nll": negative_log_likelihood(logits_BC, labels_B),
    }


def reliability(confidence_B: Floats, is_right_B: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """What a reliability diagram shows: of each bin of confidence that is not empty, indexed by its number from 0, its
    bounds (low excluded, high included), rows, mean confidence and accuracy.
    """
    bins = pd.DataFrame(
        {
            "bin": confidence_bin(confidence_B),
            "confidence": confidence_B,
            "accuracy": is_right_B.astype(float),
        }
    )
    table = bins.groupby("bin").agg(
        rows=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    edges = np.arange(CALIBRATION_BINS + 1) / CALIBRATION_BINS
    return table.assign(low=edges[table.index], high=edges[table.index + 1])


def confidence_bin(confidence_B: Floats) -> Integers:
    """The number of each confidence's bin, from 0; low bounds are excluded, high ones included."""
    bin_B: Integers = np.ceil(np.asarray(confidence_B) * CALIBRATION_BINS).astype(int) - 1
    return np.clip(bin_B, 0, CALIBRATION_BINS - 1)


def coverage(
    confidence_B: Floats,
    is_right_B: npt.NDArray[np.bool_],
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


def open_set_metrics(
    logits_BC: Floats, labels_B: Integers, out_of_scope_logits_NC: Floats | None, *, threshold: float
) -> dict[str, float]:
    """Accepting and rejecting at `threshold`, and ranking by energy; what needs out-of-scope rows, where there are."""
    energies_B = energy(logits_BC)
    is_accepted_B = is_in_scope(energies_B, threshold)
    is_right_B = logits_BC.argmax(axis=-1) == labels_B
    metrics = {
        "osr_recall": float(is_accepted_B.mean()),
        "accepted_accuracy": float(is_right_B[is_accepted_B].mean()) if is_accepted_B.any() else 0.0,
    }
    if out_of_scope_logits_NC is None or not len(out_of_scope_logits_NC):
        return metrics
    energies_N = energy(out_of_scope_logits_NC)
    return (
        metrics
        | open_set.rejection_metrics(energies_B, energies_N, threshold=threshold)
        | open_set.ranking_metrics(energies_B, energies_N)
    )
