"""Rows: what a row of a corpus must hold, and the table that a reader gathers them in."""

from array import array
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from intents.data.problems import Rejected, quoted
from intents.data.utterances import check_string


class Row(NamedTuple):
    """One utterance; `label`, `split` and `kind` are "" where the file has none."""

    text: str
    label: str
    split: str
    kind: str


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
        columns = zip(Row._fields, self._columns, strict=True)
        frame = pd.DataFrame({name: _objects(values) for name, values in columns})
        return frame.assign(line=np.array(self._lines, dtype=np.int64))


def _objects(values: list[str]) -> "pd.Series[str]":
    cells: npt.NDArray[np.object_] = np.empty(len(values), dtype=object)
    cells[:] = values
    return pd.Series(cells, dtype=object)


def checked_row(
    text: object, label: object, *, split: object, kind: object, needs_label: bool
) -> Row | Rejected:
    """The row of these values, the spaces around all but the text removed, or the first reason why there is none."""
    rejected = check_string("text", text)
    if rejected is None and needs_label:
        rejected = check_string("label", label)
    if rejected:
        return rejected
    marks = [_mark("split", split), _mark("kind", kind)]
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
