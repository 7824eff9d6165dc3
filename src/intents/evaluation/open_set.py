"""How well scores of logits and features tell in-scope from out-of-scope. In-scope is the positive class."""

from collections.abc import Mapping, Sequence

import pandas as pd
from sklearn.metrics import f1_score

from intents.axes import Floats
from intents.evaluation.metrics import means, measured, ranking, rejection
from intents.models.energy import is_in_scope


def ranking_metrics(in_scope_scores_B: Floats, out_of_scope_scores_N: Floats) -> dict[str, float]:
    """`metrics.ranking` of scores of which lower ones are more in-scope, as energies are."""
    sizes = len(in_scope_scores_B), len(out_of_scope_scores_N)
    return measured([ranking(in_scope_scores_B, out_of_scope_scores_N)], sizes=sizes)


def rejection_metrics(energies_B: Floats, energies_N: Floats, *, threshold: float) -> dict[str, float]:
    """osr_recall, the share of in-scope rows that is accepted, and `metrics.rejection`, at `threshold`."""
    is_accepted_B, is_accepted_N = (is_in_scope(energies, threshold) for energies in (energies_B, energies_N))
    return measured(
        [means({"osr_recall": is_accepted_B}), rejection(is_accepted_B, is_accepted_N)],
        sizes=(len(energies_B), len(energies_N)),
    )


def open_intent_metrics(predictions: pd.DataFrame, *, intents: Sequence[str]) -> dict[str, float]:
    """Accuracy and macro F1 with everything out-of-scope as one more intent, as the open-intent literature has them.

    `predictions` has true_intent ("" if out-of-scope), pred_intent and in_scope. f1_known is the mean over
    `intents`, the supported ones, one without a test row counting 0 (as scikit-learn's zero_division has it);
    f1_open is that of the open one, f1_all the mean over both. Zhang et al. 2021, arXiv:2012.10209.
    """
    true = predictions["true_intent"]
    predicted = predictions["pred_intent"].where(predictions["in_scope"], "")
    f1 = f1_score(true, predicted, labels=[*intents, ""], average=None, zero_division=0.0)
    return {
        "accuracy": float((true == predicted).mean()),
        "f1_known": float(f1[:-1].mean()),
        "f1_open": float(f1[-1]),
        "f1_all": float(f1.mean()),
    }


def by_kind(energies_B: Floats, energies_of_kind: Mapping[str, Floats], *, threshold: float) -> pd.DataFrame:
    """The ranking and rejection metrics of each kind of out-of-scope utterance against all in-scope ones."""
    return pd.DataFrame(
        {
            kind: {"rows": len(energies_N)}
            | ranking_metrics(energies_B, energies_N)
            | rejection_metrics(energies_B, energies_N, threshold=threshold)
            for kind, energies_N in energies_of_kind.items()
        }
    ).T.rename_axis("kind")
