"""Corrections: what a person decided of single rows of a corpus, in a .csv file beside it, the corpus left as it is.

`check_data` writes such a file; its column `action` is filled in by hand.
"""

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from intents.data.formats import csv, spreadsheets
from intents.data.formats.lines import named
from intents.data.problems import Problems, Rejected, quoted
from intents.data.sources import OUT_OF_SCOPE_COLUMNS, PARTS, RawCorpus

KEEP, DROP, RELABEL = "keep", "drop", "relabel"
ACTIONS = (KEEP, DROP, RELABEL)
COLUMNS = ("dataset", "text", "label", "action", "new_label")
LINE = "line"
OUT_OF_SCOPE = "out-of-scope"
"""As a new label: the utterance belongs to no intent, and is an out-of-scope one from now on."""
CORRECTED = "corrected"
DROPPED, MOVED = "correction: dropped", "correction: out-of-scope"
EXPECTED = (
    f"Expected, in UTF-8: columns {', '.join(COLUMNS)} (and {LINE}, to tell repeats apart); action one of "
    f"{', '.join(ACTIONS)}, or nothing for what is not decided. Mend these lines, then run again."
)


@dataclass(frozen=True)
class Correction:
    """One decision: of the rows of `dataset` with this text and label, or of the one at `line` where that is given.

    `place` is the line of the corrections' own file: the same decision may stand elsewhere.
    """

    dataset: str
    text: str
    label: str
    line: str
    action: str
    new_label: str
    place: int = field(compare=False)

    @property
    def row(self) -> tuple[str, str, str]:
        """What it is about."""
        return self.dataset, self.text, self.label

    @property
    def outcome(self) -> tuple[str, str, str]:
        """What is in the corpus because of it."""
        return self.dataset, self.text, self.new_label or self.label


@dataclass(frozen=True)
class Corrected:
    """`raw`: the corpus as if its files had been edited. `ledger`: the in-scope rows that are no more, with their
    `reason`. `decided`: every correction that was made. `notes`: what a person should know."""

    raw: RawCorpus
    ledger: pd.DataFrame
    decided: tuple[Correction, ...] = ()
    notes: tuple[str, ...] = ()


def correct(raw: RawCorpus, file: str) -> Corrected:
    """The corpus with the corrections of `file`, "" for none. Raises DataError."""
    if not file:
        return Corrected(raw, raw.rows.iloc[:0].assign(reason=pd.Series(dtype=object)))
    problems = Problems()
    path = named(file)
    decided = read(path, problems)
    chosen = _matched(raw.rows, decided, path=path, problems=problems)
    problems.raise_if_any(of="the corrections", expected=EXPECTED)
    corrected = _applied(raw, decided, chosen=chosen, name=path.name)
    return dataclasses.replace(corrected, notes=(*problems.notes, *corrected.notes))


def read(path: Path, problems: Problems) -> tuple[Correction, ...]:
    """The decisions that a file holds; what is wrong with it goes to `problems`. Raises DataError."""
    line, names, records = csv.under_header(path, problems)
    missing = [name for name in COLUMNS if name not in names]
    if names and missing:
        problems.add(path, line, kind="a column is missing", detail=", ".join(missing))
    elif missing and not problems.counts:
        problems.add(path, 0, kind="the file holds no columns")
    decided: list[Correction] = []
    for place, fields in () if missing else records:
        values = dict(zip(names, map(spreadsheets.as_it_was, fields), strict=True)) if fields else {}
        found = _decision(values, place) if fields else None
        if isinstance(found, Rejected):
            problems.add(path, place, kind=found.kind, detail=found.detail)
        elif found:
            decided.append(found)
    return tuple(decided)


def _decision(values: dict[str, str], place: int) -> Correction | Rejected | None:
    """The decision of one line, None where none is taken, or why it is none."""
    action, new_label = values["action"].strip().lower(), values["new_label"].strip()
    line = values.get(LINE, "").strip()
    if action and action not in ACTIONS:
        return Rejected("an unknown action", quoted(values["action"]))
    if new_label and action != RELABEL:
        return Rejected("a new_label without the action relabel", quoted(new_label))
    if action == RELABEL and not new_label:
        return Rejected("relabel without a new_label", quoted(values["text"]))
    if line and not line.isdecimal():
        return Rejected("line is not a number", quoted(line))
    if not action:
        return None
    dataset, label = values["dataset"].strip(), values["label"].strip()
    return Correction(dataset, values["text"], label, line, action, new_label, place)


def _matched(
    rows: pd.DataFrame, decided: tuple[Correction, ...], *, path: Path, problems: Problems
) -> dict[int, Correction]:
    """The correction of each row (by index) that has one; what is wrong with them goes to `problems`."""
    concerned = rows[rows["text"].isin({correction.text for correction in decided})]
    keys = pd.MultiIndex.from_frame(concerned[["dataset", "text", "label"]])
    places: dict[tuple[str, str, str], list[int]] = {}
    for key, index in zip(keys, concerned.index, strict=True):
        places.setdefault(key, []).append(index)
    intents = set(rows["label"])
    chosen: dict[int, Correction] = {}
    for correction in decided:
        of_it = places.get(correction.row, [])
        found = _check_label(correction, intents) or _rows_of(correction, rows, places=of_it)
        if isinstance(found, Rejected):
            problems.add(path, correction.place, kind=found.kind, detail=found.detail)
            continue
        for index in found:
            before = chosen.setdefault(index, correction)
            if (before.action, before.new_label) != (correction.action, correction.new_label):
                kind, detail = "a row is decided in two ways", f"line {before.place} says {before.action}"
                problems.add(path, correction.place, kind=kind, detail=detail)
    return chosen


def _rows_of(correction: Correction, rows: pd.DataFrame, *, places: list[int]) -> list[int] | Rejected:
    """The rows that a correction is about: all with its text and label, or of several the one at its line."""
    if not places:
        shown = f"{quoted(correction.text)} under {quoted(correction.label)} in {quoted(correction.dataset)}"
        return Rejected("matches no row", f"{shown}; the text must be the row's, letter for letter")
    if len(places) == 1 or not correction.line:
        return places
    at_line = [index for index in places if str(rows.at[index, "line"]) == correction.line]
    if at_line:
        return at_line
    lines = ", ".join(str(rows.at[index, "line"]) for index in places[:5])
    detail = f"{len(places)} rows are alike, at lines {lines}, none at {correction.line}"
    return Rejected("its line is none of its rows'", f"{detail}; empty the line to mean all of them")


def _check_label(correction: Correction, intents: set[str]) -> Rejected | None:
    if correction.action != RELABEL:
        return None
    if correction.new_label == correction.label:
        return Rejected("relabelled to the intent it has", quoted(correction.label))
    if correction.new_label in intents or correction.new_label == OUT_OF_SCOPE:
        return None
    detail = f"{quoted(correction.new_label)}; or {OUT_OF_SCOPE}, for an utterance of no intent"
    return Rejected("new_label is no intent of the corpus", detail)


def _applied(
    raw: RawCorpus, decided: tuple[Correction, ...], *, chosen: dict[int, Correction], name: str
) -> Corrected:
    intents = set(raw.rows["label"])
    reasons, labels = {}, {}
    for index, correction in chosen.items():
        if correction.action == DROP:
            reasons[index] = DROPPED
        elif correction.action == RELABEL and correction.new_label in intents:
            labels[index] = correction.new_label
        elif correction.action == RELABEL:
            reasons[index] = MOVED
    gone = raw.rows.loc[list(reasons)].assign(reason=pd.Series(reasons, dtype=object))
    rows = raw.rows.drop(index=list(reasons))
    rows.loc[list(labels), "label"] = pd.Series(labels, dtype=object)
    moved = _out_of_scope(gone[gone["reason"] == MOVED], arrives_split=raw.arrives_split)
    out_of_scope = pd.concat([raw.out_of_scope, moved], ignore_index=True)
    edited = dataclasses.replace(raw, rows=rows, out_of_scope=out_of_scope)
    counts = Counter(reasons.values())
    note = (
        f"corrections ({name}): {counts[DROPPED]:,} row(s) dropped, {len(labels):,} relabelled, "
        f"{counts[MOVED]:,} now out-of-scope, {len(chosen) - len(reasons) - len(labels):,} kept as they are"
    )
    return Corrected(edited, gone.reset_index(drop=True), decided, (note,))


def _out_of_scope(rows: pd.DataFrame, *, arrives_split: bool) -> pd.DataFrame:
    split = rows["split"].map(PARTS) if arrives_split else ""
    return rows.assign(kind=CORRECTED, split=split)[OUT_OF_SCOPE_COLUMNS]
