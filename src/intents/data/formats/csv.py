"""A .csv or .parquet file with the columns text and label; split and kind are read where they are there."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from intents.data.formats.lines import require_file
from intents.data.formats.records import csv_records, wrong_number
from intents.data.formats.rows import Row, RowTable, checked_row
from intents.data.problems import Problems, Rejected, listed
from intents.errors import DataError

COLUMNS = Row._fields
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
MAX_GROUP_BYTES = 1 << 30
"""Of one row group of a .parquet file, uncompressed: no more than that is in memory at once."""
BATCH_ROWS = 65_536


def read_csv(path: Path, problems: Problems, *, needs_label: bool) -> pd.DataFrame:
    """Columns text, label, split, kind, line (where the row begins); bad rows go to `problems`. Raises DataError."""
    before = problems.counts.total()
    table = RowTable()
    places: dict[str, int] = {}
    names: list[str] = []
    for line, fields in csv_records(path, problems):
        if not fields:
            continue
        if not names:
            names = [name.strip() for name in fields]
            rejected = check_columns(names, needed=_needed(needs_label=needs_label))
            if rejected:
                problems.add(path, line, rejected.kind, rejected.detail)
                break
            places = {name: names.index(name) for name in COLUMNS if name in names}
            continue
        if len(fields) != len(names):
            wrong = wrong_number(fields, names)
            problems.add(path, line, wrong.kind, wrong.detail)
            continue
        values = {name: fields[place] for name, place in places.items()}
        _add(table, values, line, path, problems, needs_label=needs_label)
    if not len(table) and problems.counts.total() == before:
        problems.add(path, 0, "the file holds no rows")
    return table.frame()


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


def _needed(*, needs_label: bool) -> tuple[str, ...]:
    return ("text", "label") if needs_label else ("text",)


def _add(
    table: RowTable, values: dict[str, Any], line: int, path: Path, problems: Problems, *, needs_label: bool
) -> None:
    row = checked_row(*(values.get(name) for name in COLUMNS), needs_label=needs_label)
    if isinstance(row, Rejected):
        problems.add(path, line, row.kind, row.detail)
    else:
        table.add(row, line)


def read_parquet(path: Path, problems: Problems, *, needs_label: bool) -> pd.DataFrame:
    """Columns text, label, split, kind, line (the row's number); bad rows go to `problems`. Raises DataError."""
    require_file(path)
    before = problems.counts.total()
    table = RowTable()
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            rejected = _check_parquet(file, needs_label=needs_label)
            if rejected:
                problems.add(path, 0, rejected.kind, rejected.detail)
                return table.frame()
            for line, values in enumerate(_parquet_rows(path, file.schema_arrow.names), start=1):
                _add(table, values, line, path, problems, needs_label=needs_label)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise no_parquet(path, error) from error
    if not len(table) and problems.counts.total() == before:
        problems.add(path, 0, "the file holds no rows")
    return table.frame()


def no_parquet(path: Path, error: Exception) -> DataError:
    """The error to raise for a file that can't be read as Parquet."""
    return DataError(
        f"{path}: can't be read as Parquet ({str(error)[:200]}). The file is damaged or of another format; "
        "write it again."
    )


def _check_parquet(file: Any, *, needs_label: bool) -> Rejected | None:
    needed = _needed(needs_label=needs_label)
    rejected = check_columns(file.schema_arrow.names, needed=needed)
    if rejected:
        return rejected
    for name in needed:
        kind = file.schema_arrow.field(name).type
        if not holds_strings(kind):
            return Rejected(f"column {name} is not of strings", f"it is {str(kind)[:60]}")
    # Of the groups alone: asking for a damaged column's size ends the process (pyarrow 25).
    sizes = [file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups)]
    if max(sizes, default=0) > MAX_GROUP_BYTES:
        detail = f"{max(sizes) >> 20} MB; write the file in row groups of at most {MAX_GROUP_BYTES >> 20} MB"
        return Rejected("a row group is too large", detail)
    return None


def holds_strings(kind: Any) -> bool:
    """Whether an Arrow type is one of strings."""
    kinds = pyarrow.types
    if kinds.is_dictionary(kind):
        return holds_strings(kind.value_type)
    return bool(
        kinds.is_string(kind)
        or kinds.is_large_string(kind)
        or kinds.is_string_view(kind)
        or kinds.is_null(kind)
    )


def _parquet_rows(path: Path, names: list[str]) -> Iterator[dict[str, Any]]:
    """The rows by column; a text that repeats is one string, so that what is compressed well stays small."""
    columns = [name for name in COLUMNS if name in names]
    with pyarrow.parquet.ParquetFile(path, read_dictionary=columns) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns, use_threads=False):
            values = [cells(column) for column in batch.columns]
            for row in zip(*values, strict=True):
                yield dict(zip(batch.schema.names, row, strict=True))


def cells(column: Any) -> list[Any]:
    """The values of a column; bytes where a string is not UTF-8."""
    if not pyarrow.types.is_dictionary(column.type):
        return _values(column)
    values, indices = _values(column.dictionary), column.indices.to_pylist()
    if any(index is not None and not 0 <= index < len(values) for index in indices):
        raise ValueError("a value is not in its column's dictionary")
    return [None if index is None else values[index] for index in indices]


def _values(column: Any) -> list[Any]:
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        cells = column.cast(pyarrow.large_binary()).to_pylist()
        return [None if cell is None else _decoded(cell) for cell in cells]


def _decoded(cell: bytes) -> str | bytes:
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return cell
