"""Repeats: utterances that stand twice, to the letter or nearly so: under two intents, in two parts, or for nothing."""

from collections.abc import Iterator

import pandas as pd

from intents.data.duplicates import representatives
from intents.data.parts import TEST, TRAIN
from intents.data.problems import plain
from intents.diagnosis.finding import Evidence, Finding, shown_rows

CONFLICTS, NEAR_CONFLICTS = "conflicts", "near_conflicts"
LEAKS, NEAR_LEAKS = "leaks", "near_leaks"
DUPLICATES, NEAR_DUPLICATES = "duplicates", "near_duplicates"
SHOWN_INTENTS = 3


REPEATS = {False: "repeats", True: "nearly repeats"}


def findings(known: Evidence) -> Iterator[Finding]:
    """What repeats do to this corpus: those that are alike, then those that are only nearly so."""
    for is_near, forms in enumerate((known.forms, representatives(known.rows["text"]))):
        rows = known.rows.assign(group=forms.groupby(forms, sort=False).ngroup(), form=known.forms)
        for told in (_conflicts, _leaks, _duplicates):
            yield from filter(None, [told(known, rows, is_near=bool(is_near))])


def _conflicts(known: Evidence, rows: pd.DataFrame, *, is_near: bool) -> Finding | None:
    """The same utterance under several intents: a model can be right in one of them only, unless what the forms leave
    out tells them apart."""
    rows = rows.assign(label_id=known.labels_B, is_reviewed=known.is_reviewed_B)
    if is_near:  # what is alike in fact and under two intents is told already
        rows = rows[~rows["form"].isin(_several(rows, "form"))]
    undecided = rows.loc[~rows["is_reviewed"], "group"]
    rows = rows[rows["group"].isin(_several(rows, "group")) & rows["group"].isin(undecided)].copy()
    if rows.empty:
        return None
    rows["suggested"] = [known.intents[i] for i in rows["group"].map(_best_labels(known, rows))]
    is_minority = rows["suggested"] != rows["label"]
    costs = is_minority & known.is_wrong_B[rows.index]
    intents = {group: sorted(set(labels)) for group, labels in rows.groupby("group")["label"]}
    pairs = pd.Series([" / ".join(map(plain, names)) for names in intents.values()]).value_counts()
    to_the_letter = rows.groupby("text")["label"].nunique().gt(1).sum()
    # Near-duplicates link up into large groups, most of whose rows are in order.
    rows = rows[~rows["is_reviewed"] & (is_minority | (not is_near))]
    rows = rows.sort_values(["group", "suggested"], kind="stable")
    reasons = [
        f"{REPEATS[is_near]} a row under {' / '.join(plain(name) for name in intents[group] if name != label)}"
        for group, label in zip(rows["group"], rows["label"], strict=True)
    ]
    what = (
        "utterances with near-duplicates under other intents"
        if is_near
        else f"utterances stand under several intents, {to_the_letter} of them to the letter"
    )
    return Finding(
        kind=NEAR_CONFLICTS if is_near else CONFLICTS,
        headline=f"{len(intents):,} {what}; most often {', '.join(pairs.index[:SHOWN_INTENTS])}",
        advice="Decide for one intent each and relabel the others, or drop what can mean either.",
        estimate=float(costs.sum()) * known.test_share,
        rows=shown_rows(rows, reasons=reasons, suggested=list(rows["suggested"])),
        table=pairs.rename_axis("intents").rename("utterances").reset_index(),
    )


def _several(rows: pd.DataFrame, key: str) -> "pd.Index[str]":
    """The values of `key` that stand under several intents."""
    counts = rows.groupby(key)["label"].nunique()
    return counts.index[counts > 1]


def _best_labels(known: Evidence, rows: pd.DataFrame) -> dict[int, int]:
    """Of each group the label that a person gave or kept, else that most of its rows have; of equals the one that the
    baseline finds likelier."""
    votes = rows.assign(own=known.own_B[rows.index]).groupby(["group", "label_id"])
    ranked = votes.agg(decided=("is_reviewed", "sum"), rows=("own", "size"), likely=("own", "mean"))
    ranked = ranked.sort_values(["decided", "rows", "likely"], kind="stable").reset_index()
    return dict(zip(ranked["group"], ranked["label_id"], strict=True))  # the last of a group stays


def _leaks(known: Evidence, rows: pd.DataFrame, *, is_near: bool) -> Finding | None:
    """Measured rows that repeat a training row: a model that learned that row by heart gets them right."""
    trained = rows[rows["part"] == TRAIN]
    is_leaked = (rows["part"] != TRAIN) & rows["group"].isin(trained["group"])
    if is_near:
        is_leaked &= ~rows["form"].isin(trained["form"])
    leaked = rows[is_leaked]
    if leaked.empty:
        return None
    origins = leaked["group"].map(_places(trained.drop_duplicates("group").set_index("group")))
    counts, sizes = leaked["part"].value_counts(), rows["part"].value_counts()
    parts = sorted(set(leaked["part"]))
    named = ", ".join(f"{counts[part]:,} of {sizes[part]:,} {part} rows" for part in parts)
    what = "have near-duplicates in the training part" if is_near else "repeat a training row"
    return Finding(
        kind=NEAR_LEAKS if is_near else LEAKS,
        headline=f"{named} {what} (case and punctuation aside)",
        advice="Near-duplicates flatter the figures a little; a test part of other days or users would tell."
        if is_near
        else "Use split=grouped, which keeps repeats together, or drop these rows: they flatter the figures.",
        estimate=float((leaked["part"] == TEST).sum()) * known.error_rate,
        rows=shown_rows(leaked, reasons=[f"{REPEATS[is_near]} {place}, a training row" for place in origins]),
        table=counts.rename_axis("part").rename("rows").reset_index(),
    )


def _duplicates(known: Evidence, rows: pd.DataFrame, *, is_near: bool) -> Finding | None:
    """Rows that repeat an earlier one of the same intent and part: it counts double, that is all."""
    if is_near:
        rows = rows[~rows.duplicated(["form", "label", "part"])]
    same = ["group", "label", "part"]
    repeated = rows[rows.duplicated(same) & ~known.is_reviewed_B[rows.index]]
    if repeated.empty:
        return None
    firsts = _places(rows.drop_duplicates(same).set_index(same)).to_dict()
    origins = [firsts[key] for key in repeated[same].itertuples(index=False, name=None)]
    counts = repeated["label"].value_counts()
    named = ", ".join(f"{plain(intent)} {count:,}" for intent, count in counts.head(SHOWN_INTENTS).items())
    return Finding(
        kind=NEAR_DUPLICATES if is_near else DUPLICATES,
        headline=f"{len(repeated):,} rows {'nearly ' if is_near else ''}repeat another of the same intent and "
        f"part: {named}",
        advice="Other words for the same intent would teach more than these do."
        if is_near
        else "Drop them: they count double in training and in the figures, and say nothing new.",
        estimate=0.0,
        rows=shown_rows(repeated, reasons=[f"{REPEATS[is_near]} {place}" for place in origins]),
        table=counts.rename_axis("intent").rename("rows").reset_index(),
    )


def _places(rows: pd.DataFrame) -> "pd.Series[str]":
    """Where each row stands: its file and line."""
    return rows["dataset"] + " line " + rows["line"].astype(str)
