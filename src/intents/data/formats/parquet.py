"""A .parquet file: read whole or in chunks; and one written."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet

from intents.data.formats.chunks import ROWS, Chunk, Source, Wanted
from intents.data.formats.columns import COLUMNS, add_row, check_columns, check_wanted, needed_columns
from intents.data.formats.lines import require_file
from intents.data.formats.rows import RowTable
from intents.data.problems import Problems, Rejected
from intents.errors import DataError

BATCH_BYTES = 1 << 23
"""Of the rows of a .parquet file that are read at once, about."""
MAX_GROUP_BYTES = 1 << 30
"""Of one row group of a .parquet file, uncompressed: no more than that is in memory at once."""
BATCH_ROWS = 65_536


def open_parquet(path: Path, wanted: Wanted) -> Source:
    with _reading(path), pyarrow.parquet.ParquetFile(path) as file:
        rows, schema = file.metadata.num_rows, file.schema_arrow
    check_wanted(path, schema.names, wanted=wanted)
    kind = schema.field(wanted.column).type
    if not holds_strings(kind):
        raise DataError(
            f"{path}: column {wanted.column} holds {str(kind)[:60]}, expected strings. Pass column=<another>."
        )
    beside = pyarrow.schema([_taken_from(schema.field(name)) for name in wanted.carried(schema.names)])
    return Source(
        rows, beside, lambda after: _parquet_chunks(path, wanted.column, schema=beside, after=after)
    )


def _taken_from(field: Any) -> Any:
    """The column as rows can be taken from it: of views of strings they can't (pyarrow 25)."""
    return field.with_type(pyarrow.string()) if pyarrow.types.is_string_view(field.type) else field


def _parquet_chunks(path: Path, column: str, *, schema: Any, after: int) -> Iterator[Chunk]:
    with _reading(path), pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:
        first = 0
        for group in range(file.metadata.num_row_groups):
            size = file.metadata.row_group(group)
            end = first + size.num_rows
            if end > after:
                rows = max(1, min(ROWS, BATCH_BYTES * size.num_rows // max(1, size.total_byte_size)))
                yield from _group_chunks(
                    file, group, column=column, schema=schema, first=first, after=after, rows=rows
                )
            first = end


def _group_chunks(
    file: Any, group: int, *, column: str, schema: Any, first: int, after: int, rows: int
) -> Iterator[Chunk]:
    """The chunks of one row group, whose first row has the number `first` + 1."""
    columns = list(dict.fromkeys([column, *schema.names]))
    for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=columns, use_threads=False):
        seen = min(len(batch), max(0, after - first))
        first, end = first + seen, first + len(batch)
        if first < end:
            unseen = batch.slice(seen)
            beside = unseen.select(schema.names).cast(schema) if len(schema) else None
            texts = cells(unseen.column(column))
            yield Chunk(range(first + 1, end + 1), texts, beside, (), end)
        first = end


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Errors of reading a .parquet file become one that names it."""
    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise no_parquet(path, error) from error


def read_parquet(path: Path, problems: Problems, *, needs_label: bool) -> pd.DataFrame:
    """Columns text, label, split, kind, line (the row's number); bad rows go to `problems`. Raises DataError."""
    require_file(path)
    before = problems.counts.total()
    table = RowTable()
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            rejected = _check_parquet(file, needs_label=needs_label)
            if rejected:
                problems.add(path, 0, kind=rejected.kind, detail=rejected.detail)
                return table.frame()
            for line, values in enumerate(_parquet_rows(path, file.schema_arrow.names), start=1):
                add_row(table, values, line=line, path=path, problems=problems, needs_label=needs_label)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise no_parquet(path, error) from error
    if not len(table) and problems.counts.total() == before:
        problems.add(path, 0, kind="the file holds no rows")
    return table.frame()


def no_parquet(path: Path, error: Exception) -> DataError:
    """The error to raise for a file that can't be read as Parquet."""
    return DataError(
        f"{path}: can't be read as Parquet ({str(error)[:200]}). The file is damaged or of another format; "
        "write it again."
    )


def _check_parquet(file: Any, *, needs_label: bool) -> Rejected | None:
    needed = needed_columns(needs_label=needs_label)
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


class Parquet:
    """A row group a shard."""

    def __init__(self, path: Path, schema: Any) -> None:
        self.schema = schema
        self.path = path
        self.batches: list[Any] = []

    def write(self, batch: Any) -> None:
        """Adds rows of the schema."""
        self.batches.append(batch)

    def close(self) -> None:
        """Ends the shard."""
        pyarrow.parquet.write_table(pyarrow.Table.from_batches(self.batches, self.schema), self.path)

    @staticmethod
    def join(shards: Sequence[Path], target: Path, *, schema: Any) -> None:
        """Writes the rows of the shards, in order, into one file."""
        with pyarrow.parquet.ParquetWriter(target, schema) as joined:
            for shard in shards:
                joined.write_table(pyarrow.parquet.read_table(shard, schema=schema))
