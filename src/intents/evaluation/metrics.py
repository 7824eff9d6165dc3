"""What is measured of a model, one definition each, of rows that count as often as their weights say.

A weight is 1, or how often a resample drew the row (`intents.evaluation.intervals`). In-scope is the positive class,
and the lower energy is the more in-scope.

Axes: B in-scope rows, N out-of-scope rows, S sets of weights, C intents, G distinct energies, lowest first.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from intents.axes import Booleans, Floats, Integers

CALIBRATION_BINS = 15
ACCEPTED_SHARE = 0.95
"""Share of in-scope rows that is accepted where fpr95 is measured."""
Counts = npt.NDArray[np.number]


Measure = Callable[[Floats, Floats], dict[str, Floats]]
"""One or several metrics by name, shape (S,), of rows weighted by `weights_BS` in scope and `weights_NS` out of it."""


def measured(measures: Sequence[Measure], *, sizes: tuple[int, int]) -> dict[str, float]:
    """Each metric by name, every row counting once. `sizes`: the numbers of in-scope and of out-of-scope rows."""
    once = [np.ones((size, 1)) for size in sizes]
    return {name: float(value) for measure in measures for name, (value,) in measure(*once).items()}


def classification(labels_B: Integers, predicted_B: Integers, *, number_of_intents: int) -> Measure:
    """accuracy; F1 weighted by support or averaged over the intents that occur, as scikit-learn has them.

    Ids of intents run from 0 to C - 1; a predicted id of C stands for any other intent.
    """
    hits_B = np.where(predicted_B == labels_B, labels_B, number_of_intents)
    one_hot_CB = [_one_hot(ids_B, rows=number_of_intents) for ids_B in (hits_B, labels_B, predicted_B)]

    def weighted(weights_BS: Floats, _: Floats) -> dict[str, Floats]:
        hits_SC, true_SC, predicted_SC = ((is_CB @ weights_BS).T for is_CB in one_hot_CB)
        return count_metrics(hits_SC, true_SC, predicted_C=predicted_SC)

    return weighted


def count_metrics(hits_C: Counts, support_C: Counts, *, predicted_C: Counts) -> dict[str, Floats]:
    """`classification` of rows counted by intent: right, true and predicted ones.

    Intents are the last axis; each metric has the axes before it.
    """
    f1_C, rows = f1_score(hits_C, support_C, predicted_C=predicted_C), support_C.sum(axis=-1)
    occurs_C = support_C + predicted_C > 0
    return {
        "accuracy": hits_C.sum(axis=-1) / rows,
        "f1_weighted": (f1_C * support_C).sum(axis=-1) / rows,
        "f1_macro": (f1_C * occurs_C).sum(axis=-1) / occurs_C.sum(axis=-1),
    }


def f1_score(hits_C: Counts, support_C: Counts, *, predicted_C: Counts) -> Floats:
    """F1 of each intent; 0 where it neither occurs nor is predicted."""
    f1_C: Floats = 2 * hits_C / np.maximum(support_C + predicted_C, 1)
    return f1_C


def calibration_error(confidence_B: Floats, is_right_B: Booleans) -> Measure:
    """ece: expected calibration error over 15 equal-width bins of confidence. Guo et al. 2017, arXiv:1706.04599."""
    gaps = _one_hot(confidence_bin(confidence_B), rows=CALIBRATION_BINS, values=is_right_B - confidence_B)
    return lambda weights_BS, _: {"ece": np.abs(gaps @ weights_BS).sum(axis=0) / weights_BS.sum(axis=0)}


def confidence_bin(confidence_B: Floats) -> Integers:
    """The number of each confidence's bin, from 0; low bounds are excluded, high ones included."""
    bin_B: Integers = np.ceil(np.asarray(confidence_B) * CALIBRATION_BINS).astype(int) - 1
    return np.clip(bin_B, 0, CALIBRATION_BINS - 1)


def means(values: Mapping[str, Floats | Booleans]) -> Measure:
    """Means over the in-scope rows of one number a row, or the shares of them of which something is true, by name."""
    return lambda weights_BS, _: {
        name: value_B @ weights_BS / weights_BS.sum(axis=0) for name, value_B in values.items()
    }


def accepted_accuracy(is_accepted_B: Booleans, is_right_B: Booleans) -> Measure:
    """accepted_accuracy: share of accepted in-scope rows that is right; 0 where none is accepted."""

    def weighted(weights_BS: Floats, _: Floats) -> dict[str, Floats]:
        accepted_S, right_too_S = is_accepted_B @ weights_BS, (is_accepted_B & is_right_B) @ weights_BS
        return {"accepted_accuracy": right_too_S / np.maximum(accepted_S, 1)}

    return weighted


def rejection(is_accepted_B: Booleans, is_accepted_N: Booleans) -> Measure:
    """Accepting and rejecting: osr_accuracy, osr_precision, osr_f1; oos_recall: share of out-of-scope rejected."""

    def weighted(weights_BS: Floats, weights_NS: Floats) -> dict[str, Floats]:
        rows_S, out_of_scope_S = weights_BS.sum(axis=0), weights_NS.sum(axis=0)
        accepted_S, wrongly_S = is_accepted_B @ weights_BS, is_accepted_N @ weights_NS
        rejected_S = out_of_scope_S - wrongly_S
        return {
            "osr_accuracy": (accepted_S + rejected_S) / (rows_S + out_of_scope_S),
            "osr_precision": accepted_S / np.maximum(accepted_S + wrongly_S, 1),
            "osr_f1": 2 * accepted_S / (rows_S + accepted_S + wrongly_S),
            "oos_recall": rejected_S / out_of_scope_S,
        }

    return weighted


def ranking(energies_B: Floats, energies_N: Floats) -> Measure:
    """How energies, or other scores, rank in-scope before out-of-scope rows, whatever the threshold.

    auroc: chance that an out-of-scope row has the higher energy, ties counting half. aupr_in, aupr_out: average
    precision with in-scope or out-of-scope as the positive class. fpr95: share of out-of-scope accepted at the
    lowest threshold that accepts 95 % of in-scope.
    """
    distinct_G, places = np.unique(np.concatenate([energies_B, energies_N]), return_inverse=True)
    is_in_scope_GB = _one_hot(places[: len(energies_B)], rows=len(distinct_G))
    is_out_of_scope_GN = _one_hot(places[len(energies_B) :], rows=len(distinct_G))

    def weighted(weights_BS: Floats, weights_NS: Floats) -> dict[str, Floats]:
        rows_S, out_of_scope_S = weights_BS.sum(axis=0), weights_NS.sum(axis=0)
        in_GS, out_GS = is_in_scope_GB @ weights_BS, is_out_of_scope_GN @ weights_NS
        in_up_to_GS, out_up_to_GS = in_GS.cumsum(axis=0), out_GS.cumsum(axis=0)
        in_from_GS, out_from_GS = rows_S - in_up_to_GS + in_GS, out_of_scope_S - out_up_to_GS + out_GS
        ordered_S = (out_GS * (in_up_to_GS - in_GS / 2)).sum(axis=0)
        threshold_S = (in_up_to_GS / rows_S >= ACCEPTED_SHARE).argmax(axis=0)
        return {
            "auroc": ordered_S / (rows_S * out_of_scope_S),
            "aupr_in": _average_precision(in_GS, in_up_to_GS, false_GS=out_up_to_GS),
            "aupr_out": _average_precision(out_GS, out_from_GS, false_GS=in_from_GS),
            "fpr95": out_up_to_GS[threshold_S, np.arange(len(rows_S))] / out_of_scope_S,
        }

    return weighted


def _average_precision(positive_GS: Floats, true_GS: Floats, *, false_GS: Floats) -> Floats:
    """The mean precision at each positive row: `true_GS` and `false_GS` are what is found where it is."""
    precision_GS = true_GS / np.maximum(true_GS + false_GS, 1)
    mean_S: Floats = (positive_GS * precision_GS).sum(axis=0) / positive_GS.sum(axis=0)
    return mean_S


def _one_hot(ids_B: Integers, *, rows: int, values: Floats | None = None) -> csr_array:
    """Shape (rows, B): 1, or its value, where a column's id is the row; nothing where its id is none."""
    is_counted_B = ids_B < rows
    places = np.flatnonzero(is_counted_B)
    entries = np.ones(len(places)) if values is None else np.asarray(values)[places]
    return csr_array((entries, (ids_B[is_counted_B], places)), shape=(rows, len(ids_B)))
