"""What a person reads of a metric: its words, what it means and which way is better, said once for whatever shows it.

Only what stands here can be shown or compared; whatever else is measured is logged under its own name.
"""

from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True)
class MetricName:
    """`words` where space is short, or what they leave out is said around them; `longer` where they stand alone."""

    words: str
    meaning: str
    _: KW_ONLY
    longer: str = ""
    is_more_better: bool = True

    @property
    def in_full(self) -> str:
        """The longer words where there are any."""
        return self.longer or self.words


METRICS = {
    "f1_weighted": MetricName("weighted F1", "F1 of each intent, weighted by its test rows"),
    "f1_macro": MetricName("macro F1", "mean F1 of the intents, each counting the same"),
    "accuracy": MetricName("accuracy", "share of in-scope test rows given their own intent"),
    "ece": MetricName(
        "calibration error",
        "how far the confidence is off on average; 0% is best",
        longer="expected calibration error",
        is_more_better=False,
    ),
    "brier": MetricName(
        "Brier score", "squared error of the confidences, summed over the intents", is_more_better=False
    ),
    "nll": MetricName(
        "negative log-likelihood", "surprise at the true intent, in nats", is_more_better=False
    ),
    "auroc": MetricName(
        "AUROC",
        "chance that an out-of-scope utterance has the higher energy",
        longer="out-of-scope AUROC",
    ),
    "fpr95": MetricName(
        "FPR@95TPR",
        "share of out-of-scope that is accepted where 95% of in-scope is",
        longer="out-of-scope accepted at 95 % recall",
        is_more_better=False,
    ),
    "osr_recall": MetricName(
        "in-scope accepted",
        "share that the threshold lets through",
        longer="in-scope accepted at the threshold",
    ),
    "accepted_accuracy": MetricName(
        "accuracy when accepted", "share of accepted in-scope rows that are right"
    ),
    "oos_recall": MetricName(
        "out-of-scope rejected",
        "share that the threshold keeps out",
        longer="out-of-scope refused at the threshold",
    ),
}
"""By the name it is logged under, in the order they are compared in."""


def is_maximised(metric: str) -> bool:
    """Whether more of a validation metric is better, by the name it is logged under: val_nll."""
    return METRICS[metric.removeprefix("val_")].is_more_better
