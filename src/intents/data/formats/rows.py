"""Rows: what a row of a corpus must hold, in which columns, and the table that those of a file are gathered in."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from intents.data.problems import Problems, Rejected, listed, quoted
from intents.data.utterances import check_string

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class Row(NamedTuple):
    """One utterance; `label`, `split` and `kind` are "" where the file has none."""

    text: str
    label: str
    split: str
    kind: str


COLUMNS = Row._fields


class RowTable:
    """The rows of one file, in order; labels, splits and kinds that repeat share one string."""

    def __init__(self) -> None:
        self._columns: tuple[list[str], ...] = ([], [], [], [])
        self._lines = array("q")
        self._seen: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, row: Row, line: int) -> None:
        texts, labels, splits, kinds = self._columns
        texts.append(row.text)
        labels.append(self._seen.setdefault(row.label, row.label))
        splits.append(self._seen.setdefault(row.split, row.split))
        kinds.append(self._seen.setdefault(row.kind, row.kind))
        self._lines.append(line)

    def frame(self) -> pd.DataFrame:
        """Columns text, label, split, kind, line."""
        columns = zip(COLUMNS, self._columns, strict=True)
        frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns})
        return frame.assign(line=np.array(self._lines, dtype=np.int64))


def gathered(
    path: Path, rows: Iterable[tuple[int, Mapping[str, object]]], *, problems: Problems, needs_label: bool
) -> pd.DataFrame:
    """Columns text, label, split, kind, line of the rows, each with its line; bad ones go to `problems`.

    So does a file without rows. Nothing in place of a row: it has gone there already.
    """
    before = problems.counts.total()
    table = RowTable()
    for line, values in rows:
        if not values:
            continue
        row = _checked(values, needs_label=needs_label)
        if isinstance(row, Rejected):
            problems.add(path, line, kind=row.kind, detail=row.detail)
        else:
            table.add(row, line)
    if not len(table) and problems.counts.total() == before:
        problems.add(path, 0, kind="the file holds no rows")
    return table.frame()


def _checked(values: Mapping[str, object], *, needs_label: bool) -> Row | Rejected:
    """The row of these values, the spaces around all but the text removed, or the first reason why there is none."""
    text, label = values.get("text"), values.get("label")
    rejected = check_string("text", text)
    if rejected is None and needs_label:
        rejected = check_string("label", label)
    if rejected:
        return rejected
    marks = [_mark("split", values.get("split")), _mark("kind", values.get("kind"))]
    for mark in marks:
        if isinstance(mark, Rejected):
            return mark
    name = label.strip() if needs_label and isinstance(label, str) else ""
    return Row(text, name, *marks)  # type: ignore[arg-type]


def _mark(name: str, value: object) -> str | Rejected:
    """A row's own split or kind, "" where it has none. Numbers are taken as they are written."""
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        stripped = value.strip()
        return (check_string(name, stripped) or stripped) if stripped else ""
    if isinstance(value, int | float):
        return str(value)
    return Rejected(f"{name} is not a string", quoted(value))


def needed_columns(*, needs_label: bool) -> tuple[str, ...]:
    return ("text", "label") if needs_label else ("text",)


def check_columns(
    names: list[str], *, needed: Sequence[str], once: Sequence[str] = COLUMNS
) -> Rejected | None:
    """Why the columns that are needed aren't there, or one of `once` stands twice; None where all is well."""
    missing = [name for name in needed if name not in names]
    found = listed(names)
    if missing:
        hint = next((word for mark, word in SEPARATORS.items() if len(names) == 1 and mark in names[0]), "")
        hint = f"; its fields are separated by {hint}, not commas" if hint else ""
        return Rejected(f"no column {' or '.join(missing)}", f"the columns are {found}{hint}")
    twice = [name for name in once if names.count(name) > 1]
    return Rejected("a column stands twice", f"{twice[0]}, in {found}") if twice else None
