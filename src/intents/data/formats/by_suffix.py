"""Files read chunk by chunk: .jsonl, .csv and .parquet, at constant memory. What is no row is refused, not fatal."""

import contextlib
import functools
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
import pyarrow.parquet

from intents.data.formats import csv, jsonl, records
from intents.data.formats.chunks import LINE, ROWS, Chunk, Gathering, Refusals, Source, Wanted
from intents.data.formats.lines import numbered_lines, require_file, writing
from intents.data.problems import Problems, Rejected, quoted
from intents.errors import DataError

BATCH_BYTES = 1 << 23
"""Of the rows of a .parquet file that are read at once, about."""


def opened(path: Path, wanted: Wanted) -> Source:
    """The file, its columns checked. Raises DataError."""
    require_file(path)
    return _OPENERS[path.suffix.lower()](path, wanted)


def _open_jsonl(path: Path, wanted: Wanted) -> Source:
    rows, notes = _lines_and_notes(path)
    if wanted.as_lines:
        schema = pyarrow.schema([(LINE, pyarrow.binary())])
        return Source(rows, schema, lambda after: _jsonl_chunks(path, wanted, schema, after, notes), notes)
    names = wanted.carried(_first_keys(path))
    schema = pyarrow.schema([(name, pyarrow.string()) for name in names])
    return Source(rows, schema, lambda after: _jsonl_chunks(path, wanted, schema, after, notes), notes)


def _first_keys(path: Path) -> list[str]:
    """The keys of the first rows, in the order in which they come up."""
    lines = itertools.islice(numbered_lines(path, Problems()), ROWS)
    rows = (jsonl.parse_object(line) for _, line in lines if line.strip())
    return list(dict.fromkeys(key for row in rows if not isinstance(row, Rejected) for key in row))


def _jsonl_chunks(path: Path, wanted: Wanted, schema: Any, after: int, notes: list[str]) -> Iterator[Chunk]:
    refusals = Refusals(after)
    gathering = Gathering(schema, refusals)
    known = {*schema.names, *wanted.replaced, *wanted.keep}
    for number, line in numbered_lines(path, refusals):
        if number <= after or not line.strip():
            continue
        row = _row(line, wanted, schema)
        if isinstance(row, Rejected):
            refusals.add(path, number, row.kind, row.detail)
        else:
            gathering.add(number, row.text, row.carried, characters=len(line))
            if not wanted.as_lines and not wanted.keep and not row.keys <= known:
                notes.append(_left_out(sorted(row.keys - known), number))
                known |= row.keys
        if gathering.is_full:
            yield gathering.taken()
    if not gathering.is_empty:
        yield gathering.taken()


def _left_out(keys: list[str], line: int) -> str:
    return (
        f"not carried along: {', '.join(map(quoted, keys))}, first met in line {line}, when the columns were settled; "
        "keep=… names columns beforehand"
    )


class _Row(NamedTuple):
    """What is needed of an object: its text, what is carried along (a value a column), its keys."""

    text: object
    carried: Sequence[object]
    keys: Set[str]


def _row(line: bytes, wanted: Wanted, schema: Any) -> _Row | Rejected:
    row = jsonl.parse_object(line)
    if isinstance(row, Rejected):
        return row
    if wanted.column not in row:
        return jsonl.no_key(wanted.column, row)
    carried = _line(line, row, wanted) if wanted.as_lines else [_cell(row.get(name)) for name in schema.names]
    return carried if isinstance(carried, Rejected) else _Row(row[wanted.column], carried, row.keys())


def _line(line: bytes, row: Mapping[str, Any], wanted: Wanted) -> list[bytes] | Rejected:
    """The line itself where all of it is wanted, so that its numbers stay as they were written."""
    if not wanted.keep and not any(name in row for name in wanted.replaced):
        return [line.strip()]
    kept = {name: row[name] for name in wanted.carried(list(row)) if name in row}
    try:
        text = json.dumps(kept, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return Rejected("a number is too large")
    return [text.encode("utf-8", "backslashreplace")]


def _cell(value: object) -> str | None:
    """A JSON value as a string: a string as it is, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _open_csv(path: Path, wanted: Wanted) -> Source:
    problems = Problems()
    rows, notes = _lines_and_notes(path)
    header = _header(records.csv_records(path, problems))
    if not header:
        problems.raise_if_any(of=str(path), expected="Expected .csv in UTF-8, with a header.")
        raise DataError(f"{path}: the file holds no rows.")
    names = [name.strip() for name in header]
    _check_columns(path, names, wanted)
    schema = pyarrow.schema([(name, pyarrow.string()) for name in wanted.carried(names)])
    return Source(rows - 1, schema, functools.partial(_csv_chunks, path, wanted.column, names, schema), notes)


def _header(records: Iterator[tuple[int, list[str]]]) -> list[str]:
    """The fields of the first record that has any; what follows it is left to be read."""
    return next((fields for _, fields in records if fields), [])


def _csv_chunks(path: Path, column: str, names: list[str], schema: Any, after: int) -> Iterator[Chunk]:
    refusals = Refusals(after)
    gathering = Gathering(schema, refusals)
    text, places = names.index(column), [names.index(name) for name in schema.names]
    found = records.csv_records(path, refusals, text=column)
    _header(found)
    for line, fields in found:
        if line <= after:
            continue
        if len(fields) == len(names):
            cells = [fields[place] for place in places]
            gathering.add(line, fields[text], cells, characters=sum(map(len, fields)))
        elif fields:
            wrong = records.wrong_number(fields, names)
            refusals.add(path, line, wrong.kind, wrong.detail)
        if gathering.is_full:
            yield gathering.taken()
    if not gathering.is_empty:
        yield gathering.taken()


def _open_parquet(path: Path, wanted: Wanted) -> Source:
    with _reading(path), pyarrow.parquet.ParquetFile(path) as file:
        rows, schema = file.metadata.num_rows, file.schema_arrow
    _check_columns(path, schema.names, wanted)
    kind = schema.field(wanted.column).type
    if not csv.holds_strings(kind):
        raise DataError(
            f"{path}: column {wanted.column} holds {str(kind)[:60]}, expected strings. Pass column=<another>."
        )
    beside = pyarrow.schema([_taken_from(schema.field(name)) for name in wanted.carried(schema.names)])
    return Source(rows, beside, lambda after: _parquet_chunks(path, wanted.column, beside, after))


def _taken_from(field: Any) -> Any:
    """The column as rows can be taken from it: of views of strings they can't (pyarrow 25)."""
    return field.with_type(pyarrow.string()) if pyarrow.types.is_string_view(field.type) else field


def _parquet_chunks(path: Path, column: str, schema: Any, after: int) -> Iterator[Chunk]:
    with _reading(path), pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:
        first = 0
        for group in range(file.metadata.num_row_groups):
            size = file.metadata.row_group(group)
            end = first + size.num_rows
            if end > after:
                rows = max(1, min(ROWS, BATCH_BYTES * size.num_rows // max(1, size.total_byte_size)))
                yield from _group_chunks(file, group, column, schema, first=first, after=after, rows=rows)
            first = end


def _group_chunks(
    file: Any, group: int, column: str, schema: Any, *, first: int, after: int, rows: int
) -> Iterator[Chunk]:
    """The chunks of one row group, whose first row has the number `first` + 1."""
    columns = list(dict.fromkeys([column, *schema.names]))
    for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=columns, use_threads=False):
        seen = min(len(batch), max(0, after - first))
        first, end = first + seen, first + len(batch)
        if first < end:
            unseen = batch.slice(seen)
            beside = unseen.select(schema.names).cast(schema) if len(schema) else None
            texts = csv.cells(unseen.column(column))
            yield Chunk(range(first + 1, end + 1), texts, beside, (), end)
        first = end


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Errors of reading a .parquet file become one that names it."""
    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise csv.no_parquet(path, error) from error


def _check_columns(path: Path, names: list[str], wanted: Wanted) -> None:
    rejected = csv.check_columns(names, needed=(wanted.column, *wanted.keep), once=names)
    if rejected:
        raise DataError(
            f"{path}: {rejected.kind}: {rejected.detail}. Pass column=<where the texts are>, and keep=<columns to "
            "carry along>, as the file has them."
        )


def _lines_and_notes(path: Path) -> tuple[int, list[str]]:
    """How many lines a file has, and what a person should know of how it is written. Raises DataError."""
    how = writing(path)
    if how.rejected:
        raise DataError(f"{path}:{how.rejected_line}: {how.rejected.kind}: {how.rejected.detail}.")
    return how.lines, [f"{path}: {note}" for note in how.notes]


_OPENERS = {".jsonl": _open_jsonl, ".csv": _open_csv, ".parquet": _open_parquet}
