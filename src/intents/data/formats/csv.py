"""A .csv file with the columns text and label, read whole or in chunks; and one written."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from intents.data.formats import records, spreadsheets
from intents.data.formats.chunks import Chunk, Gathering, Refusals, Source, Wanted
from intents.data.formats.columns import COLUMNS, add_row, check_columns, check_wanted, needed_columns
from intents.data.formats.lines import lines_and_notes
from intents.data.formats.records import csv_records, wrong_number
from intents.data.formats.rows import RowTable
from intents.data.formats.writing import JoinedLines, append_files
from intents.data.problems import Problems
from intents.errors import DataError


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
            rejected = check_columns(names, needed=needed_columns(needs_label=needs_label))
            if rejected:
                problems.add(path, line, kind=rejected.kind, detail=rejected.detail)
                break
            places = {name: names.index(name) for name in COLUMNS if name in names}
            continue
        if len(fields) != len(names):
            wrong = wrong_number(fields, names)
            problems.add(path, line, kind=wrong.kind, detail=wrong.detail)
            continue
        values = {name: fields[place] for name, place in places.items()}
        add_row(table, values, line=line, path=path, problems=problems, needs_label=needs_label)
    if not len(table) and problems.counts.total() == before:
        problems.add(path, 0, kind="the file holds no rows")
    return table.frame()


def open_csv(path: Path, wanted: Wanted) -> Source:
    problems = Problems()
    rows, notes = lines_and_notes(path)
    header = _header(records.csv_records(path, problems))
    if not header:
        problems.raise_if_any(of=str(path), expected="Expected .csv in UTF-8, with a header.")
        raise DataError(f"{path}: the file holds no rows.")
    names = [name.strip() for name in header]
    check_wanted(path, names, wanted=wanted)
    schema = pyarrow.schema([(name, pyarrow.string()) for name in wanted.carried(names)])
    return Source(
        rows - 1,
        schema,
        lambda after: _csv_chunks(path, wanted.column, names=names, schema=schema, after=after),
        notes,
    )


def _header(records: Iterator[tuple[int, list[str]]]) -> list[str]:
    """The fields of the first record that has any; what follows it is left to be read."""
    return next((fields for _, fields in records if fields), [])


def _csv_chunks(path: Path, column: str, *, names: list[str], schema: Any, after: int) -> Iterator[Chunk]:
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
            gathering.add(line, fields[text], cells=cells, characters=sum(map(len, fields)))
        elif fields:
            wrong = records.wrong_number(fields, names)
            refusals.add(path, line, kind=wrong.kind, detail=wrong.detail)
        if gathering.is_full:
            yield gathering.taken()
    if not gathering.is_empty:
        yield gathering.taken()


class Csv(JoinedLines):
    """A record a row; in UTF-8, a header first. A person opens it: its texts are no formulas."""

    def write(self, batch: Any) -> None:
        """Adds rows of the schema."""
        columns = [_harmless(column) for column in batch.columns]
        rows = pyarrow.record_batch(columns, names=batch.schema.names)
        pyarrow.csv.write_csv(rows, self.handle, pyarrow.csv.WriteOptions(include_header=False))

    @staticmethod
    def join(shards: Sequence[Path], target: Path, *, schema: Any) -> None:
        """Writes the rows of the shards, in order, into one file."""
        with target.open("wb") as joined:
            header = schema.empty_table().rename_columns(list(map(spreadsheets.harmless, schema.names)))
            pyarrow.csv.write_csv(header, joined)
            append_files(shards, joined)


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
