"""What the page counts. Every count is of all test rows, however few of their utterances the page carries."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from intents.axes import Floats, Integers
from intents.evaluation.evaluate import coverage
from intents.evaluation.open_set import rejection_metrics
from intents.models.energy import is_in_scope

SWEEP_STEPS = 240
HISTOGRAM_BINS = 60
DRAWN_PERCENTILES = (0.5, 99.5)
"""Energies beyond these are counted in the first and the last bar, so that one stray doesn't flatten the picture."""
LEAST_SPAN = 1.0
"""Energies drawn at least."""
MARGIN = 0.02
"""Of the span, on either side of what is drawn."""
BY_CONFIDENCE, BY_BOTH = "confidence", "confidence and energy"


def split(predictions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The in-scope rows, and the out-of-scope ones."""
    is_labelled = predictions["true_intent"] != ""
    return predictions[is_labelled], predictions[~is_labelled]


def is_right(predictions: pd.DataFrame) -> "pd.Series[bool]":
    """Whether each row was predicted as its own intent; an out-of-scope one, which has none, never was."""
    return predictions["true_intent"] == predictions["pred_intent"]


def label_ids(predictions: pd.DataFrame, intents: "pd.Index[str]") -> tuple[Integers, Integers]:
    """True and predicted label of each row; a true one is the number of intents where out-of-scope."""
    true_N = intents.get_indexer(pd.Index(predictions["true_intent"]))
    predicted_N = intents.get_indexer(pd.Index(predictions["pred_intent"]))
    return np.where(true_N < 0, len(intents), true_N), predicted_N


def cells(predictions: pd.DataFrame, intents: "pd.Index[str]", *, rejects: bool) -> pd.DataFrame:
    """true, predicted and rows of every cell of the confusion matrix that is not empty.

    With `rejects` as the rejection rule leaves it: rejected rows are predicted as one more label, the number of
    intents, and out-of-scope rows, truly of that label, are counted too.
    """
    true_N, predicted_N = label_ids(predictions, intents)
    counted = pd.DataFrame({"true": true_N, "predicted": predicted_N})
    if rejects:
        counted["predicted"] = np.where(predictions["in_scope"], predicted_N, len(intents))
    else:
        counted = counted[true_N < len(intents)]
    return counted.groupby(["true", "predicted"], sort=True).size().rename("rows").reset_index()


def mistakes(confusion: pd.DataFrame) -> pd.DataFrame:
    """The cells off the diagonal, the fullest first."""
    wrong = confusion[confusion["true"] != confusion["predicted"]]
    return wrong.sort_values(["rows", "true", "predicted"], ascending=[False, True, True], ignore_index=True)


def confused_pairs(confusion: pd.DataFrame) -> pd.DataFrame:
    """first, second and rows of every two intents that are taken for each other, either way, the worst first."""
    wrong = mistakes(confusion)
    ends = wrong[["true", "predicted"]].to_numpy()
    pairs = pd.DataFrame({"first": ends.min(axis=1), "second": ends.max(axis=1), "rows": wrong["rows"]})
    summed = pairs.groupby(["first", "second"], sort=True)["rows"].sum().reset_index()
    return summed.sort_values("rows", ascending=False, kind="stable", ignore_index=True)


def neighbours_order(confusion: pd.DataFrame, *, number_of_intents: int) -> list[int]:
    """The labels in an order that puts those side by side that are taken for each other."""
    if number_of_intents < 3 or confusion.empty:
        return list(range(number_of_intents))
    counts_CC = np.zeros((number_of_intents, number_of_intents))
    counts_CC[confusion["true"], confusion["predicted"]] = confusion["rows"]
    shares_CC = counts_CC / np.maximum(counts_CC.sum(axis=1, keepdims=True), 1)
    distance_CC = 1 - np.clip(shares_CC + shares_CC.T, 0, 1)
    np.fill_diagonal(distance_CC, 0)
    return [int(label) for label in leaves_list(linkage(squareform(distance_CC), method="average"))]


def per_intent(
    table: pd.DataFrame, predictions: pd.DataFrame, *, train_rows: "pd.Series[int]"
) -> pd.DataFrame:
    """`table` with what the page adds to it: rejected (a share), mistaken_for (a label, or -1), mistaken (rows), and
    train_rows where they are known.
    """
    in_scope, _ = split(predictions)
    worst = mistakes(cells(in_scope, table.index, rejects=False)).drop_duplicates("true").set_index("true")
    labels = np.arange(len(table))
    added = table.assign(
        rejected=(~in_scope["in_scope"].astype(bool)).groupby(in_scope["true_intent"]).mean(),
        mistaken_for=worst["predicted"].reindex(labels, fill_value=-1).to_numpy(),
        mistaken=worst["rows"].reindex(labels, fill_value=0).to_numpy(),
    )
    if not train_rows.empty:
        added["train_rows"] = train_rows.reindex(table.index, fill_value=0)
    return added


def energy_range(energies_N: Floats, *, threshold: float) -> tuple[float, float]:
    """The lowest and the highest energy that is drawn; the threshold lies between them."""
    low, high = np.percentile(energies_N, DRAWN_PERCENTILES) if len(energies_N) else (threshold, threshold)
    low, high = min(float(low), threshold), max(float(high), threshold)
    room = max(MARGIN * (high - low), (LEAST_SPAN - (high - low)) / 2)
    return low - room, high + room


def energy_histogram(predictions: pd.DataFrame, *, threshold: float) -> pd.DataFrame:
    """low, high, and how many in_scope and out_of_scope rows, of each bar; the ends hold what lies beyond, too."""
    low, high = energy_range(predictions["energy"].to_numpy(), threshold=threshold)
    edges = np.linspace(low, high, HISTOGRAM_BINS + 1)
    table = pd.DataFrame({"low": edges[:-1], "high": edges[1:]})
    for name, rows in zip(("in_scope", "out_of_scope"), split(predictions), strict=True):
        table[name], _ = np.histogram(np.clip(rows["energy"], low, high), bins=edges)
    return table


def sweep(predictions: pd.DataFrame, *, threshold: float) -> pd.DataFrame:
    """What each of many thresholds would do, `threshold` among them, one row each, ascending.

    accepted and accepted_right count in-scope rows, wrongly_accepted out-of-scope ones; with any of those there are
    precision, recall and f1 of accepting, too, in-scope being positive.
    """
    low, high = energy_range(predictions["energy"].to_numpy(), threshold=threshold)
    in_scope, out_of_scope = split(predictions)
    energies_B, energies_N = in_scope["energy"].to_numpy(), out_of_scope["energy"].to_numpy()
    right_B = is_right(in_scope).to_numpy()
    steps = np.union1d(np.linspace(low, high, SWEEP_STEPS + 1), [threshold])
    rows = [_accepting(energies_B, energies_N, right_B=right_B, threshold=step) for step in steps]
    return pd.DataFrame(rows)


def _accepting(
    energies_B: Floats, energies_N: Floats, *, right_B: npt.NDArray[np.bool_], threshold: float
) -> dict[str, float]:
    accepted_B = is_in_scope(energies_B, threshold)
    row = {
        "threshold": float(threshold),
        "accepted": int(accepted_B.sum()),
        "accepted_right": int((accepted_B & right_B).sum()),
        "wrongly_accepted": int(is_in_scope(energies_N, threshold).sum()),
    }
    if len(energies_N):
        measured = rejection_metrics(energies_B, energies_N, threshold=threshold)
        row |= {name: measured[f"osr_{name}"] for name in ("precision", "recall", "f1")}
    return row


def service(predictions: pd.DataFrame) -> pd.DataFrame:
    """What a service does that acts from a confidence on, by confidence alone and by confidence and energy together.

    One row a rule and threshold: the shares of in-scope and of out-of-scope utterances it acts on, how many in-scope
    ones it then gets wrong, and the share of all it acts on that are wrong (acting on out-of-scope always is).
    """
    right = predictions.assign(right=is_right(predictions))
    accepted = right["confidence"].where(right["in_scope"].astype(bool), 0.0)
    rules = {BY_CONFIDENCE: right, BY_BOTH: right.assign(confidence=accepted)}
    return pd.concat([_acting(rows).assign(rule=rule) for rule, rows in rules.items()], ignore_index=True)


def _acting(predictions: pd.DataFrame) -> pd.DataFrame:
    in_scope, out_of_scope = split(predictions)
    measured = _coverage(in_scope)
    table = pd.DataFrame(
        {
            "threshold": measured["threshold"],
            "in_scope_acts": measured["coverage"],
            "in_scope_wrong": (measured["coverage"] * measured["error"] * len(in_scope)).round().astype(int),
            "wrong": _coverage(predictions)["error"],
        }
    )
    return table.assign(out_of_scope_acts=_coverage(out_of_scope)["coverage"]) if len(out_of_scope) else table


def _coverage(predictions: pd.DataFrame) -> pd.DataFrame:
    return coverage(predictions["confidence"].to_numpy(), predictions["right"].to_numpy())
