"""Confusions: labels that are likely wrong, and intents that can't be told apart or are too rare, from what a small
model says of rows that it was not trained on."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from intents.axes import Floats, Integers
from intents.data.parts import TRAIN
from intents.data.problems import plain
from intents.diagnosis.finding import Evidence, Finding, shown_rows
from intents.evaluation.evaluate import confusion

LABEL_ERRORS, CONFUSABLE, RARE = "label_errors", "confusable", "rare"
LEAST_ODDS = 20
"""How many times likelier than its label another intent must be for a row's label to be doubted. Of labels made wrong
on purpose this finds more, and fewer right ones, than confident learning's thresholds (docs/data.md)."""
LEAST_MERGED, LEAST_MERGED_SHARE = 5, 0.05
"""Errors that merging two intents removes, as a number and as a share of the smaller one's rows, to name the pair."""
LEAST_LIFT = 3
"""How many times as many as for the average other pair, so that a corpus that is hard all over has no pairs to name."""
RARE_ROWS = 50
"""Training rows below which an intent is called rare, where it does worse than the others."""
SHOWN_INTENTS = 3


def findings(known: Evidence) -> Iterator[Finding]:
    """What the baseline's errors out of fold tell of this corpus."""
    yield from filter(None, (_label_errors(known), _confusable(known), _rare(known)))


def doubted(probabilities_BC: Floats, labels_B: Integers) -> npt.NDArray[np.bool_]:
    """Whether some intent is so much likelier than a row's label that the label is likely wrong, shape (B,).

    An intent without a row outside the fold has no probability: of its rows nothing is known.
    """
    own_B = probabilities_BC[np.arange(len(labels_B)), labels_B]
    is_doubted_B: npt.NDArray[np.bool_] = (own_B > 0) & (probabilities_BC.max(axis=-1) >= LEAST_ODDS * own_B)
    return is_doubted_B


def _label_errors(known: Evidence) -> Finding | None:
    gain_B = known.probabilities_BC.max(axis=-1) - known.own_B
    order = np.flatnonzero(doubted(known.probabilities_BC, known.labels_B) & ~known.is_reviewed_B)
    order = order[np.argsort(-gain_B[order], kind="stable")]
    if not len(order):
        return None
    suggested = [known.intents[i] for i in known.predicted_B[order]]
    rows = known.rows.iloc[order]
    pairs = pd.DataFrame({"label": list(rows["label"]), "suggested": suggested}).value_counts(sort=True)
    table = pairs.rename("rows").reset_index()
    named = ", ".join(
        f"{plain(pair.label)} → {plain(pair.suggested)} {pair.rows}"
        for pair in table.head(SHOWN_INTENTS).itertuples()
    )
    return Finding(
        kind=LABEL_ERRORS,
        headline=f"{len(order):,} of {len(known.rows):,} labels are doubtful; most often {named}",
        advice="Read them from the top; relabel, drop or keep each in the file of findings, passed as corrections=.",
        estimate=float(gain_B[order].sum()) * known.test_share,
        rows=shown_rows(
            rows,
            reasons=[f"reads like {plain(intent)}" for intent in suggested],
            suggested=suggested,
            confidence=list(known.probabilities_BC[order].max(axis=-1)),
        ),
        table=table,
    )


def removed_by_merging(probabilities_BC: Floats, labels_B: Integers) -> npt.NDArray[np.bool_]:
    """Whether merging a row's intent with another would make a wrong answer right, shape (B, C).

    It would where the two intents' probabilities together exceed those of every third one.
    """
    every_B = np.arange(len(labels_B))
    own_B1 = probabilities_BC[every_B, labels_B][:, None]
    others_BC = probabilities_BC.copy()
    others_BC[every_B, labels_B] = -1.0
    first_B, best_B = others_BC.argmax(axis=-1), others_BC.max(axis=-1)
    without_best_BC = others_BC.copy()
    without_best_BC[every_B, first_B] = -1.0
    is_best_BC = np.arange(others_BC.shape[1]) == first_B[:, None]
    third_BC = np.where(is_best_BC, without_best_BC.max(axis=-1)[:, None], best_B[:, None])
    is_wrong_B1 = (best_B > own_B1[:, 0])[:, None]
    removed_BC: npt.NDArray[np.bool_] = (
        is_wrong_B1 & (others_BC > 0) & (own_B1 + np.maximum(others_BC, 0) > third_BC)
    )
    return removed_BC


def confusable_pairs(known: Evidence) -> pd.DataFrame:
    """Pairs of intents that are taken for each other in both directions, those whose merging removes most errors first.

    Columns first, second, rows (of both), first_as_second, second_as_first (answers), removed (errors, of all rows).
    """
    number = len(known.intents)
    taken_CC = confusion(known.labels_B, known.predicted_B, number_of_intents=number)
    removed_BC = removed_by_merging(known.probabilities_BC, known.labels_B)
    removed_CC = np.zeros((number, number), dtype=np.int64)
    np.add.at(removed_CC, known.labels_B, removed_BC)
    removed_CC = removed_CC + removed_CC.T
    sizes_C = np.bincount(known.labels_B, minlength=number)
    one, other = np.triu_indices(number, 1)
    removed = removed_CC[one, other]
    least = np.maximum(LEAST_MERGED, LEAST_MERGED_SHARE * np.minimum(sizes_C[one], sizes_C[other]))
    usual = (removed.sum() - removed) / max(len(removed) - 1, 1)
    is_pair = (
        (removed >= np.maximum(least, LEAST_LIFT * usual))
        & (taken_CC[one, other] > 0)
        & (taken_CC[other, one] > 0)
    )
    one, other = one[is_pair], other[is_pair]
    table = pd.DataFrame(
        {
            "first": [known.intents[i] for i in one],
            "second": [known.intents[i] for i in other],
            "rows": sizes_C[one] + sizes_C[other],
            "first_as_second": taken_CC[one, other],
            "second_as_first": taken_CC[other, one],
            "removed": removed_CC[one, other],
        }
    )
    return table.sort_values("removed", ascending=False, kind="stable").reset_index(drop=True)


def _confusable(known: Evidence) -> Finding | None:
    pairs = confusable_pairs(known)
    if pairs.empty:
        return None
    removed_BC = removed_by_merging(known.probabilities_BC, known.labels_B)
    ids = {intent: i for i, intent in enumerate(known.intents)}
    pair_of = np.full((len(ids), len(ids)), len(pairs))
    for place, (first, second) in enumerate(zip(pairs["first"], pairs["second"], strict=True)):
        pair_of[ids[first], ids[second]] = pair_of[ids[second], ids[first]] = place
    # Of each row the most confused pair whose merging would mend it.
    pair_BC = np.where(removed_BC, pair_of[known.labels_B], len(pairs))
    order = np.flatnonzero(pair_BC.min(axis=-1) < len(pairs))
    order = order[np.argsort(pair_BC.min(axis=-1)[order], kind="stable")]
    other_B = pair_BC.argmin(axis=-1)[order]
    named = ", ".join(
        f"{plain(pair.first)} / {plain(pair.second)} ({pair.removed})"
        for pair in pairs.head(SHOWN_INTENTS).itertuples()
    )
    return Finding(
        kind=CONFUSABLE,
        headline=f"{len(pairs):,} pairs of intents are taken for each other (errors gone if merged): {named}",
        advice="Merge what the service answers alike; else write down what sets them apart, and relabel by that.",
        estimate=len(order) * known.test_share,
        rows=shown_rows(
            known.rows.iloc[order],
            reasons=[f"can't be told from {plain(known.intents[i])}" for i in other_B],
            suggested=[known.intents[i] for i in other_B],
            confidence=list(known.probabilities_BC[order, other_B]),
        ),
        table=pairs,
    )


def _rare(known: Evidence) -> Finding | None:
    """Intents with few training rows that are wrong more often than the rest."""
    trained_C = known.rows.loc[known.rows["part"] == TRAIN, "label"].value_counts()
    table = known.rows.assign(wrong=known.is_wrong_B).groupby("label")["wrong"].agg(["size", "sum"])
    table = table.set_axis(["rows", "wrong"], axis=1).assign(train=trained_C).fillna({"train": 0})
    table["above"] = table["wrong"] - known.error_rate * table["rows"]
    table = table[(table["train"] < RARE_ROWS) & (table["above"] > 0)]
    table = table.sort_values("above", ascending=False, kind="stable")
    if table.empty:
        return None
    is_of_them = known.rows["label"].isin(table.index) & known.is_wrong_B
    places = {intent: place for place, intent in enumerate(table.index)}
    rows = known.rows[is_of_them]
    rows = rows.iloc[np.argsort(rows["label"].map(places), kind="stable")]
    named = ", ".join(
        f"{plain(intent)} ({row.train:.0f}, {row.wrong / row.rows:.0%} wrong)"
        for intent, row in table.head(SHOWN_INTENTS).iterrows()
    )
    return Finding(
        kind=RARE,
        headline=f"{len(table):,} intents with fewer than {RARE_ROWS} training rows do worse than the rest: {named}",
        advice="Gather utterances of these intents, from the first on, or merge them with what resembles them.",
        estimate=float(table["above"].sum()) * known.test_share,
        rows=shown_rows(
            rows, reasons=[f"taken for {plain(known.intents[known.predicted_B[i]])}" for i in rows.index]
        ),
        table=table.rename_axis("intent").reset_index()[["intent", "rows", "train", "wrong"]],
    )
