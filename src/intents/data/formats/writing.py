"""Rows written as .jsonl, .csv or .parquet, in shards that are joined into one file at the end."""

import itertools
import json
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from intents.data.formats import chunks, spreadsheets
from intents.errors import ScoringError


class Format(Protocol):
    """A shard being written, and the way from shards to the file."""

    def __init__(self, path: Path, schema: Any) -> None: ...

    def write(self, batch: Any) -> None:
        """Adds rows of the schema."""

    def close(self) -> None:
        """Ends the shard."""

    @staticmethod
    def join(shards: Sequence[Path], target: Path, schema: Any) -> None:
        """Writes the rows of the shards, in order, into one file."""


class _Lines:
    """What .jsonl and .csv have in common: shards are joined byte by byte."""

    def __init__(self, path: Path, schema: Any) -> None:
        self.schema = schema
        self.handle = path.open("wb")

    def close(self) -> None:
        """Ends the shard."""
        self.handle.close()


class Jsonl(_Lines):
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
    def join(shards: Sequence[Path], target: Path, schema: Any) -> None:  # noqa: ARG004
        """Writes the rows of the shards, in order, into one file."""
        with target.open("wb") as joined:
            _append(shards, joined)


class Csv(_Lines):
    """A record a row; in UTF-8, a header first. A person opens it: its texts are no formulas."""

    def write(self, batch: Any) -> None:
        """Adds rows of the schema."""
        columns = [_harmless(column) for column in batch.columns]
        rows = pyarrow.record_batch(columns, names=batch.schema.names)
        pyarrow.csv.write_csv(rows, self.handle, pyarrow.csv.WriteOptions(include_header=False))

    @staticmethod
    def join(shards: Sequence[Path], target: Path, schema: Any) -> None:
        """Writes the rows of the shards, in order, into one file."""
        with target.open("wb") as joined:
            header = schema.empty_table().rename_columns(list(map(spreadsheets.harmless, schema.names)))
            pyarrow.csv.write_csv(header, joined)
            _append(shards, joined)


def _harmless(column: Any) -> Any:
    """The column, its texts no formulas in a spreadsheet."""
    kinds = pyarrow.types
    if kinds.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (kinds.is_string(column.type) or kinds.is_large_string(column.type)):
        return column
    begins = pyarrow.compute.match_substring_regex(
        column, rf"(^|[{spreadsheets.SEPARATORS}]){spreadsheets.FORMULA}"
    )
    if not pyarrow.compute.any(begins).as_py():
        return column
    texts = (text if text is None else spreadsheets.harmless(text) for text in column.to_pylist())
    return pyarrow.array(texts, column.type)


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
    def join(shards: Sequence[Path], target: Path, schema: Any) -> None:
        """Writes the rows of the shards, in order, into one file."""
        with pyarrow.parquet.ParquetWriter(target, schema) as joined:
            for shard in shards:
                joined.write_table(pyarrow.parquet.read_table(shard, schema=schema))


FORMATS: dict[str, type[Format]] = {".jsonl": Jsonl, ".csv": Csv, ".parquet": Parquet}


def check_schema(schema: Any, output: Path) -> None:
    """Raises ScoringError where the output's format can't hold a column."""
    for field in schema if output.suffix.lower() != ".parquet" else ():
        is_nested = pyarrow.types.is_nested(field.type) and output.suffix.lower() == ".csv"
        if field.name != chunks.LINE and (_holds_bytes(field.type) or is_nested):
            raise ScoringError(
                f"{output}: column {field.name} holds {str(field.type)[:60]}, which {output.suffix} can't. Name the "
                "columns to carry along, keep=…, or write .parquet."
            )


def _holds_bytes(kind: Any) -> bool:
    kinds = pyarrow.types
    if kinds.is_struct(kind):
        return any(_holds_bytes(field.type) for field in kind.fields)
    if kinds.is_map(kind):
        return _holds_bytes(kind.key_type) or _holds_bytes(kind.item_type)
    if hasattr(kind, "value_type"):  # a dictionary, or a list of any kind
        return _holds_bytes(kind.value_type)
    are_bytes = (kinds.is_binary, kinds.is_large_binary, kinds.is_fixed_size_binary, kinds.is_binary_view)
    return any(are(kind) for are in are_bytes)


def _append(shards: Iterable[Path], joined: Any) -> None:
    for shard in shards:
        with shard.open("rb") as handle:
            shutil.copyfileobj(handle, joined)


def _objects(batch: Any) -> list[dict[str, Any]]:
    """The rows as JSON can hold them."""
    cells = [[_jsonable(value) for value in column.to_pylist()] for column in batch.columns]
    names = batch.schema.names
    return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]


def _dumped(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False, default=str)


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


def rows(chunk: chunks.Chunk, places: Sequence[int], answers: Any, schema: Any) -> Any:
    """The rows to write of those texts of a chunk that have an answer, an Arrow batch."""
    if len(places) == len(chunk.lines):
        lines, beside = chunk.lines, chunk.beside
    else:
        lines = [chunk.lines[place] for place in places]
        beside = (
            chunk.beside.take(pyarrow.array(places, pyarrow.int64())) if chunk.beside is not None else None
        )
    carried = beside.columns if beside is not None else []
    arrays = itertools.chain([pyarrow.array(lines, pyarrow.int64())], carried, answers.columns)
    return pyarrow.record_batch(list(arrays), schema=schema)
