"""A .parquet file: read whole or in chunks; and one written."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet

from intents.data.formats import rows
from intents.data.formats.chunks import ROWS, Chunk, Refused, Source, Wanted
from intents.data.formats.lines import require_file
from intents.data.problems import Problems, Rejected
from intents.errors import DataError

BATCH_BYTES = 1 << 23
"""Of the rows of a .parquet file that are read at once, about."""
MAX_GROUP_BYTES = 1 << 30
"""Of one row group of a .parquet file, uncompressed: no more than that is in memory at once."""
BATCH_ROWS = 65_536


def read(path: Path, problems: Problems, *, needs_label: bool) -> pd.DataFrame:
    """Columns text, label, split, kind, line (the row's number); bad rows go to `problems`. Raises DataError."""
    require_file(path)
    found = _rows(path, problems, needed=rows.needed_columns(needs_label=needs_label))
    return rows.gathered(path, found, problems=problems, needs_label=needs_label)


def _rows(path: Path, problems: Problems, *, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row by its columns; a text that repeats is one string, so that what is compressed well stays small."""
    with _file(path) as file:
        names = file.schema_arrow.names
        rejected = _check_parquet(file, needed)
    if rejected:
        problems.add(path, 0, kind=rejected.kind, detail=rejected.detail)
        return
    columns = [name for name in rows.COLUMNS if name in names]
    with _file(path, read_dictionary=columns) as file:
        found = (
            dict(zip(batch.schema.names, row, strict=True))
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns, use_threads=False)
            for row in zip(*map(cells, batch.columns), strict=True)
        )
        yield from enumerate(found, start=1)


def opened(path: Path, wanted: Wanted) -> Source:
    """The file, to be read in chunks, its columns checked. Raises DataError."""
    with _file(path) as file:
        number, schema = file.metadata.num_rows, file.schema_arrow
    wanted.check(path, schema.names)
    kind = schema.field(wanted.column).type
    if not holds_strings(kind):
        raise DataError(
            f"{path}: column {wanted.column} holds {str(kind)[:60]}, expected strings. Pass column=<another>."
        )
    is_view = pyarrow.types.is_string_view  # of a view of strings rows can't be taken (pyarrow 25)
    fields = [schema.field(name) for name in wanted.carried(schema.names)]
    taken = [field.with_type(pyarrow.string()) if is_view(field.type) else field for field in fields]
    beside = pyarrow.schema(taken)
    return Source(number, beside, lambda after: _chunks(path, wanted.column, schema=beside, after=after))


def _chunks(path: Path, column: str, *, schema: Any, after: int) -> Iterator[Chunk]:
    with _file(path, pre_buffer=False) as file:
        first = 0
        for group in range(file.metadata.num_row_groups):
            size = file.metadata.row_group(group)
            end = first + size.num_rows
            if end > after:
                length = max(1, min(ROWS, BATCH_BYTES * size.num_rows // max(1, size.total_byte_size)))
                yield from _group_chunks(
                    file, group, column=column, schema=schema, first=first, after=after, length=length
                )
            first = end


def _group_chunks(
    file: Any, group: int, *, column: str, schema: Any, first: int, after: int, length: int
) -> Iterator[Chunk]:
    """The chunks of one row group, whose first row has the number `first` + 1."""
    columns = list(dict.fromkeys([column, *schema.names]))
    for batch in file.iter_batches(batch_size=length, row_groups=[group], columns=columns, use_threads=False):
        seen = min(len(batch), max(0, after - first))
        first, end = first + seen, first + len(batch)
        if first < end:
            unseen = batch.slice(seen)
            beside = unseen.select(schema.names).cast(schema) if len(schema) else None
            texts = cells(unseen.column(column))
            chunk = Chunk(range(first + 1, end + 1), texts, beside, (), end)
            damaged = _damaged(beside, but=column) if beside is not None else {}
            yield _without(chunk, damaged) if damaged else chunk
        first = end


def _damaged(beside: Any, *, but: str) -> dict[int, str]:
    """The places of rows that hold, in another column, a string that is not UTF-8, however deep; and that column."""
    found: dict[int, str] = {}
    for name, column in zip(beside.schema.names, beside.columns, strict=True):
        plain = column.dictionary_decode() if pyarrow.types.is_dictionary(column.type) else column
        if name == but or _is_whole(plain):
            continue
        for place in range(len(plain)):
            if place not in found and not _is_whole(plain.take(pyarrow.array([place]))):
                found[place] = name
    return found


def _is_whole(column: Any) -> bool:
    try:
        column.validate(full=True)
    except pyarrow.ArrowInvalid:
        return False
    return True


def _without(chunk: Chunk, damaged: Mapping[int, str]) -> Chunk:
    """The chunk, these rows refused: no format could hold what stands beside their texts."""
    kept = [place for place in range(len(chunk.lines)) if place not in damaged]
    refused = [
        Refused(chunk.lines[place], f"column {name} is not UTF-8, or damaged")
        for place, name in damaged.items()
    ]
    return Chunk(
        [chunk.lines[place] for place in kept],
        [chunk.texts[place] for place in kept],
        chunk.beside.take(pyarrow.array(kept, pyarrow.int64())),
        sorted(refused),
        chunk.end,
    )


@contextlib.contextmanager
def _file(path: Path, **options: Any) -> Iterator[Any]:
    """The file, open. Whatever is wrong with its reading is an error that names it."""
    try:
        with pyarrow.parquet.ParquetFile(path, **options) as file:
            yield file
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{path}: can't be read as Parquet ({str(error)[:200]}). The file is damaged or of another format; "
            "write it again."
        ) from error


def _check_parquet(file: Any, needed: Sequence[str]) -> Rejected | None:
    rejected = rows.check_columns(file.schema_arrow.names, needed=needed)
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
    are_strings = (kinds.is_string, kinds.is_large_string, kinds.is_string_view, kinds.is_null)
    return any(are(kind) for are in are_strings)


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
        self.path, self.schema = path, schema
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
