"""The columns that a table of rows must have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intents.data.formats.chunks import Wanted
from intents.data.formats.rows import Row, RowTable, checked_row
from intents.data.problems import Problems, Rejected, listed
from intents.errors import DataError

COLUMNS = Row._fields
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def check_wanted(path: Path, names: list[str], *, wanted: Wanted) -> None:
    rejected = check_columns(names, needed=(wanted.column, *wanted.keep), once=names)
    if rejected:
        raise DataError(
            f"{path}: {rejected.kind}: {rejected.detail}. Pass column=<where the texts are>, and keep=<columns to "
            "carry along>, as the file has them."
        )


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


def needed_columns(*, needs_label: bool) -> tuple[str, ...]:
    return ("text", "label") if needs_label else ("text",)


def add_row(
    table: RowTable, values: dict[str, Any], *, line: int, path: Path, problems: Problems, needs_label: bool
) -> None:
    text, label, split, kind = (values.get(name) for name in COLUMNS)
    row = checked_row(text, label, split=split, kind=kind, needs_label=needs_label)
    if isinstance(row, Rejected):
        problems.add(path, line, kind=row.kind, detail=row.detail)
    else:
        table.add(row, line)
