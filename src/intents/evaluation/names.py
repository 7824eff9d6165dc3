"""What a person reads of a metric: its words, what it means and which way is better, said once for whatever shows it.

Only what stands here can be shown or compared; whatever else is measured is logged under its own name.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MetricName:
    """`words` where space is short, or what they leave out is said around them."""

    words: str
    longer_words: str = ""
    meaning: str
    is_more_better: bool = True

    @property
    def in_full(self) -> str:
        """The words where they stand alone."""
        return self.longer_words or self.words


METRICS = {
    "f1_weighted": MetricName(words="weighted F1", meaning="F1 of each intent, weighted by its test rows"),
    "f1_macro": MetricName(words="macro F1", meaning="mean F1 of the intents, each counting the same"),
    "accuracy": MetricName(words="accuracy", meaning="share of in-scope test rows given their own intent"),
    "ece": MetricName(
        words="calibration error",
        longer_words="expected calibration error",
        meaning="how far the confidence is off on average; 0% is best",
        is_more_better=False,
    ),
    "brier": MetricName(
        words="Brier score",
        meaning="squared error of the confidences, summed over the intents; 0 is best",
        is_more_better=False,
    ),
    "nll": MetricName(
        words="negative log-likelihood",
        meaning="surprise at the true intent, in nats; 0 is best",
        is_more_better=False,
    ),
    "auroc": MetricName(
        words="AUROC",
        longer_words="out-of-scope AUROC",
        meaning="chance that an out-of-scope utterance has the higher energy",
    ),
    "fpr95": MetricName(
        words="FPR@95TPR",
        longer_words="out-of-scope accepted at 95 % recall",
        meaning="share of out-of-scope that is accepted where 95% of in-scope is",
        is_more_better=False,
    ),
    "osr_recall": MetricName(
        words="in-scope accepted",
        longer_words="in-scope accepted at the threshold",
        meaning="share that the threshold lets through",
    ),
    "accepted_accuracy": MetricName(
        words="accuracy when accepted", meaning="share of accepted in-scope rows that are right"
    ),
    "oos_recall": MetricName(
        words="out-of-scope rejected",
        longer_words="out-of-scope refused at the threshold",
        meaning="share that the threshold keeps out",
    ),
}
"""By the name it is logged under, in the order they are compared in."""


def is_maximised(metric: str) -> bool:
    """Whether more of a validation metric is better, by the name it is logged under: val_nll."""
    return METRICS[metric.removeprefix("val_")].is_more_better
