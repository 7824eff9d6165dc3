"""The metrics of a trained model, with intervals. Rows are true intents, columns predicted ones, everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax

from intents import open_set
from intents.scoring import Floats, Integers, energy, is_in_scope, negative_log_likelihood

CALIBRATION_BINS = 15
BOOTSTRAP_SAMPLES = 1000
INTERVAL = (2.5, 97.5)


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
    _, _, f1_C, support_C = _per_intent(confusion_CC)
    occurs_C = (support_C > 0) | (confusion_CC.sum(axis=0) > 0)
    return {
        "accuracy": float(np.trace(confusion_CC) / confusion_CC.sum()),
        "f1_weighted": float((f1_C * support_C).sum() / support_C.sum()),
        "f1_macro": float(f1_C[occurs_C].mean()),
    }


def _per_intent(confusion_CC: Integers) -> tuple[Floats, Floats, Floats, Integers]:
    """Precision, recall, F1 and support, each of shape (C,); 0 where the denominator is."""
    hits_C, support_C, predicted_C = np.diag(confusion_CC), confusion_CC.sum(axis=1), confusion_CC.sum(axis=0)
    precision_C = hits_C / np.maximum(predicted_C, 1)
    recall_C = hits_C / np.maximum(support_C, 1)
    f1_C = 2 * hits_C / np.maximum(support_C + predicted_C, 1)
    return precision_C, recall_C, f1_C, support_C


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
    confidence_B = probabilities_BC.max(axis=-1)
    is_right_B = probabilities_BC.argmax(axis=-1) == labels_B
    bin_B = np.clip(np.ceil(confidence_B * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bin_B, weights=is_right_B - confidence_B, minlength=CALIBRATION_BINS)
    target_BC = np.eye(logits_BC.shape[1])[labels_B]
    return {
        "ece": float(np.abs(gaps).sum() / len(labels_B)),
        "brier": float(((probabilities_BC - target_BC) ** 2).sum(axis=-1).mean()),
        "nll": negative_log_likelihood(logits_BC, labels_B),
    }


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
