"""A .jsonl file, an object a line: read whole or in chunks; and one written."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet

from intents.data.formats import chunks, rows
from intents.data.formats.chunks import LINE, ROWS, Chunk, Refusals, Source, Taken, Wanted
from intents.data.formats.json import parse
from intents.data.formats.lines import lines_and_notes, numbered_lines
from intents.data.formats.writing import JoinedLines
from intents.data.problems import Problems, Rejected, listed, quoted


def read(path: Path, problems: Problems, *, needs_label: bool) -> pd.DataFrame:
    """Columns text, label, split, kind, line; bad lines go to `problems`. Raises DataError."""
    found = _objects(path, problems, needed=rows.needed_columns(needs_label=needs_label))
    values = ((number, row) for number, _, row in found)
    return rows.gathered(path, values, problems=problems, needs_label=needs_label)


def _objects(
    path: Path, problems: Problems, *, needed: Sequence[str] = (), after: int = 0
) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """(number, line, its object) of each line behind `after` that is not blank.

    What holds no object, or none with the keys needed, goes to `problems`; the object has no keys here.
    """
    for number, written in numbered_lines(path, problems):
        if number <= after or not written.strip():
            continue
        row = _parsed(written, needed)
        if isinstance(row, Rejected):
            problems.add(path, number, kind=row.kind, detail=row.detail)
            row = {}
        yield number, written, row


def _parsed(line: bytes, needed: Sequence[str]) -> dict[str, Any] | Rejected:
    """The JSON object that the line holds, or why it holds none."""
    try:
        row = parse(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Rejected("not UTF-8", f"byte {error.start}")
    except RecursionError:
        return Rejected("nested too deeply")
    except ValueError as error:
        return Rejected("not one JSON object", str(error)[:120])
    if not isinstance(row, dict):
        return Rejected("not a JSON object", f"a {type(row).__name__}")
    for name in needed:
        if name not in row:
            keys = f"the keys are {listed(list(row))}" if row else "the object is empty"
            return Rejected(f"{name} is missing", keys)
    return row


def opened(path: Path, wanted: Wanted) -> Source:
    """The file, to be read in chunks. Raises DataError."""
    lines, notes = lines_and_notes(path)
    if wanted.as_lines:
        schema = pyarrow.schema([(LINE, pyarrow.binary())])
    else:
        schema = pyarrow.schema([(name, pyarrow.string()) for name in wanted.carried(_first_keys(path))])
    return Source(
        lines, schema, lambda after: _chunks(path, wanted, schema=schema, notes=notes, after=after), notes
    )


def _first_keys(path: Path) -> list[str]:
    """The keys of the first rows, in the order in which they come up."""
    first = itertools.takewhile(lambda found: found[0] <= ROWS, _objects(path, Problems()))
    return list(dict.fromkeys(key for _, _, row in first if _check_keys(row) is None for key in row))


def _check_keys(row: Mapping[str, Any]) -> Rejected | None:
    """Why not all the keys can be names of columns; None where they can."""
    halved = [key for key in row if key.encode("utf-8", "ignore").decode() != key]
    return Rejected("a key holds a lone surrogate", quoted(halved[0])) if halved else None


def _chunks(path: Path, wanted: Wanted, *, schema: Any, notes: list[str], after: int) -> Iterator[Chunk]:
    refusals = Refusals(after)
    taken = _taken(path, wanted, refusals=refusals, names=schema.names, notes=notes)
    return chunks.gathered(taken, schema, refusals=refusals)


def _taken(
    path: Path, wanted: Wanted, *, refusals: Refusals, names: list[str], notes: list[str]
) -> Iterator[tuple[int, Taken | None]]:
    known = {*names, *wanted.replaced, *wanted.keep}
    may_leave_out = not wanted.as_lines and not wanted.keep
    for number, written, row in _objects(path, refusals, needed=[wanted.column], after=refusals.after):
        beside = _beside(written, row, wanted=wanted, names=names)
        if isinstance(beside, Rejected):
            refusals.add(path, number, kind=beside.kind, detail=beside.detail)
            yield number, None
            continue
        if may_leave_out and not row.keys() <= known:
            strange = ", ".join(map(quoted, sorted(row.keys() - known)))
            notes.append(
                f"not carried along: {strange}, first met in line {number}, when the columns were settled; "
                "keep=… names columns beforehand"
            )
            known |= row.keys()
        yield number, (row[wanted.column], beside, len(written)) if row else None


def _beside(
    line: bytes, row: Mapping[str, Any], *, wanted: Wanted, names: Sequence[str]
) -> Sequence[object] | Rejected:
    """What is carried along of an object: a value a column, or the line itself, its numbers as they were written."""
    if not wanted.as_lines:
        rejected = None if wanted.keep else _check_keys(row)
        return rejected or [_cell(row.get(name)) for name in names]
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
        if LINE in batch.schema.names:
            carried = batch.column(LINE).to_pylist()
            added = _as_objects(batch.drop_columns([LINE]))
            lines = (_spliced(line, ours) for line, ours in zip(carried, added, strict=True))
        else:
            lines = (
                json.dumps(row, ensure_ascii=False, allow_nan=False, default=str).encode()
                for row in _as_objects(batch)
            )
        self.handle.writelines(line + b"\n" for line in lines)


def _as_objects(batch: Any) -> list[dict[str, Any]]:
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
