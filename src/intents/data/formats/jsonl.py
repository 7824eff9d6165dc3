"""A .jsonl file, an object a line: read whole or in chunks; and one written."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet

from intents.data.formats import chunks, strict_json
from intents.data.formats.chunks import LINE, ROWS, Chunk, Gathering, Refusals, Source, Wanted
from intents.data.formats.lines import lines_and_notes, numbered_lines
from intents.data.formats.rows import Row, RowTable, checked_row
from intents.data.formats.writing import JoinedLines, append_files
from intents.data.problems import Problems, Rejected, listed, quoted


def read(path: Path, problems: Problems, *, needs_label: bool) -> pd.DataFrame:
    """Columns text, label, split, kind, line; bad lines go to `problems`. Raises DataError."""
    before = problems.counts.total()
    table = RowTable()
    for number, line in numbered_lines(path, problems):
        if not line.strip():
            continue
        row = _parse_row(line, needs_label=needs_label)
        if isinstance(row, Rejected):
            problems.add(path, number, kind=row.kind, detail=row.detail)
        else:
            table.add(row, number)
    if not len(table) and problems.counts.total() == before:
        problems.add(path, 0, kind="the file holds no rows")
    return table.frame()


def parse_object(line: bytes) -> dict[str, Any] | Rejected:
    """The JSON object that the line holds, or why it holds none."""
    try:
        row = strict_json.parse(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Rejected("not UTF-8", f"byte {error.start}")
    except RecursionError:
        return Rejected("nested too deeply")
    except ValueError as error:
        return Rejected("not one JSON object", str(error)[:120])
    return row if isinstance(row, dict) else Rejected("not a JSON object", f"a {type(row).__name__}")


def no_key(name: str, row: dict[str, Any]) -> Rejected:
    """Why an object without that key holds no row."""
    return Rejected(
        f"{name} is missing", f"the keys are {listed(list(row))}" if row else "the object is empty"
    )


def _parse_row(line: bytes, *, needs_label: bool) -> Row | Rejected:
    row = parse_object(line)
    if isinstance(row, Rejected):
        return row
    missing = [name for name in (("text", "label") if needs_label else ("text",)) if name not in row]
    if missing:
        return no_key(missing[0], row)
    return checked_row(
        row.get("text"),
        row.get("label"),
        split=row.get("split"),
        kind=row.get("kind"),
        needs_label=needs_label,
    )


def open_jsonl(path: Path, wanted: Wanted) -> Source:
    rows, notes = lines_and_notes(path)
    if wanted.as_lines:
        schema = pyarrow.schema([(LINE, pyarrow.binary())])
        return Source(
            rows,
            schema,
            lambda after: _jsonl_chunks(path, wanted, schema=schema, after=after, notes=notes),
            notes,
        )
    names = wanted.carried(_first_keys(path))
    schema = pyarrow.schema([(name, pyarrow.string()) for name in names])
    return Source(
        rows,
        schema,
        lambda after: _jsonl_chunks(path, wanted, schema=schema, after=after, notes=notes),
        notes,
    )


def _first_keys(path: Path) -> list[str]:
    """The keys of the first rows, in the order in which they come up."""
    lines = itertools.islice(numbered_lines(path, Problems()), ROWS)
    rows = (parse_object(line) for _, line in lines if line.strip())
    return list(dict.fromkeys(key for row in rows if not isinstance(row, Rejected) for key in row))


def _jsonl_chunks(
    path: Path, wanted: Wanted, *, schema: Any, after: int, notes: list[str]
) -> Iterator[Chunk]:
    refusals = Refusals(after)
    gathering = Gathering(schema, refusals)
    known = {*schema.names, *wanted.replaced, *wanted.keep}
    for number, line in numbered_lines(path, refusals):
        if number <= after or not line.strip():
            continue
        row = _row(line, wanted, schema=schema)
        if isinstance(row, Rejected):
            refusals.add(path, number, kind=row.kind, detail=row.detail)
        else:
            gathering.add(number, row.text, cells=row.carried, characters=len(line))
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


def _row(line: bytes, wanted: Wanted, *, schema: Any) -> _Row | Rejected:
    row = parse_object(line)
    if isinstance(row, Rejected):
        return row
    if wanted.column not in row:
        return no_key(wanted.column, row)
    carried = (
        _line(line, row, wanted=wanted)
        if wanted.as_lines
        else [_cell(row.get(name)) for name in schema.names]
    )
    return carried if isinstance(carried, Rejected) else _Row(row[wanted.column], carried, row.keys())


def _line(line: bytes, row: Mapping[str, Any], *, wanted: Wanted) -> list[bytes] | Rejected:
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


class Jsonl(JoinedLines):
    """An object a line: what was carried along, the line it was read from, the answer."""

    def write(self, batch: Any) -> None:
        """Adds rows of the schema."""
        if chunks.LINE in batch.schema.names:
            carried = batch.column(chunks.LINE).to_pylist()
            added = _objects(batch.drop_columns([chunks.LINE]))
            rows = (_spliced(line, ours) for line, ours in zip(carried, added, strict=True))
        else:
            rows = (
                json.dumps(row, ensure_ascii=False, allow_nan=False, default=str).encode()
                for row in _objects(batch)
            )
        self.handle.writelines(row + b"\n" for row in rows)

    @staticmethod
    def join(shards: Sequence[Path], target: Path, *, schema: Any) -> None:  # noqa: ARG004
        """Writes the rows of the shards, in order, into one file."""
        with target.open("wb") as joined:
            append_files(shards, joined)


def _objects(batch: Any) -> list[dict[str, Any]]:
    """The rows as JSON can hold them."""
    cells = [[_jsonable(value) for value in column.to_pylist()] for column in batch.columns]
    names = batch.schema.names
    return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]


def _jsonable(value: Any) -> Any:
    """What JSON has no number for is null, however deep."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _jsonable(inner) for name, inner in value.items()}
    return [_jsonable(inner) for inner in value] if isinstance(value, list | tuple) else value


def _spliced(line: bytes, ours: dict[str, Any]) -> bytes:
    """The object of the line with our values added at its end."""
    added = json.dumps(ours, ensure_ascii=False).encode()
    begun = line[:-1].rstrip()
    return begun + (b"" if begun.endswith(b"{") else b", ") + added[1:]
