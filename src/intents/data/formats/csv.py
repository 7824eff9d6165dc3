"""A .csv file, a record a row: read whole or in chunks, what is no CSV told by its lines; and one written."""

import csv
import itertools
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from intents.data.formats import chunks, rows, spreadsheets
from intents.data.formats.chunks import Chunk, Refusals, Source, Wanted
from intents.data.formats.lines import lines_and_notes, numbered_lines
from intents.data.formats.writing import JoinedLines
from intents.data.problems import Problems
from intents.data.utterances import MAX_CHARACTERS
from intents.errors import DataError

NEIGHBOURS = 1000
"""Lines at the file's beginning, and lines read last, that a line of a quoted text is compared with."""
SWALLOWED = "a quoted text spans lines that read as records"
_DIGITS = re.compile("[0-9]+")
_OWN_WORDS = {
    "unexpected end of data": "a quote is opened and never closed",
    "field larger than field limit": f"a field of over {MAX_CHARACTERS:,} characters; is a quote never closed?",
    "new-line character seen": "a line ends in \\r alone, others in \\n; save the file with line ends of one kind",
    "',' expected after": "text follows a closing quote; write a quote inside a quoted text twice",
}
"""What the csv module says, by how it begins."""


def read(path: Path, problems: Problems, *, needs_label: bool) -> pd.DataFrame:
    """Columns text, label, split, kind, line (where the row begins); bad rows go to `problems`. Raises DataError."""
    found = _values(path, problems, needed=rows.needed_columns(needs_label=needs_label))
    return rows.gathered(path, found, problems=problems, needs_label=needs_label)


def _values(
    path: Path, problems: Problems, *, needed: Sequence[str]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Each row by its columns."""
    line, names, found = under_header(path, problems)
    if not names:
        return
    rejected = rows.check_columns(names, needed=needed)
    if rejected:
        problems.add(path, line, kind=rejected.kind, detail=rejected.detail)
        return
    places = {name: names.index(name) for name in rows.COLUMNS if name in names}
    for line, fields in found:
        yield line, {name: fields[place] for name, place in places.items()} if fields else {}


def opened(path: Path, wanted: Wanted) -> Source:
    """The file, to be read in chunks, its columns checked. Raises DataError."""
    problems = Problems()
    lines, notes = lines_and_notes(path)
    _, names, _ = under_header(path, problems)
    if not names:
        problems.raise_if_any(of=str(path), expected="Expected .csv in UTF-8, with a header.")
        raise DataError(f"{path}: the file holds no rows.")
    wanted.check(path, names)
    schema = pyarrow.schema([(name, pyarrow.string()) for name in wanted.carried(names)])
    return Source(
        lines - 1, schema, lambda after: _chunks(path, wanted.column, schema=schema, after=after), notes
    )


def _chunks(path: Path, column: str, *, schema: Any, after: int) -> Iterator[Chunk]:
    refusals = Refusals(after)
    _, names, found = under_header(path, refusals, text=column)
    text, places = names.index(column), [names.index(name) for name in schema.names]
    taken = (
        (line, (fields[text], [fields[place] for place in places], sum(map(len, fields))))
        if fields
        else (line, None)
        for line, fields in found
        if line > after
    )
    return chunks.gathered(taken, schema, refusals=refusals)


def under_header(
    path: Path, problems: Problems, *, text: str = "text"
) -> tuple[int, list[str], Iterator[tuple[int, list[str]]]]:
    """The line of the first record, the names there, and the records behind it.

    There are no names where the file is blank, and where what should name the columns has gone to `problems`.
    """
    found = records(path, problems, text=text)
    line, header = next(found, (0, []))
    names = [name.strip() for name in header]
    return line, names, _of_a_length(found, len(names), path=path, problems=problems)


def _of_a_length(
    found: Iterable[tuple[int, list[str]]], length: int, *, path: Path, problems: Problems
) -> Iterator[tuple[int, list[str]]]:
    """The records; those that have not so many fields go to `problems`, and have none here."""
    for line, fields in found:
        if fields and len(fields) != length:
            detail = f"{len(fields)}, the header has {length}; quote a text that holds a comma"
            problems.add(path, line, kind="another number of fields than the header", detail=detail)
            fields = []
        yield line, fields


def records(path: Path, problems: Problems, *, text: str = "text") -> Iterator[tuple[int, list[str]]]:
    """(number of its first line, fields) of each record that is not blank, the header first.

    What is no CSV goes to `problems`, and so does a record that is not UTF-8, or whose column `text` spans lines that
    read as records; of these there are no fields here.
    """
    csv.field_size_limit(MAX_CHARACTERS)
    feed = _Feed(path, problems)
    reader = csv.reader(feed, strict=True)
    stray = _StrayQuotes(path, text)
    while True:
        feed.begin_record()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.add(path, feed.first, kind="not CSV", detail=_in_own_words(error), last_line=feed.last)
            yield feed.first, []
            continue
        number, detail = feed.wrong
        if number:
            problems.add(path, number, kind="not UTF-8", detail=detail)
            yield feed.first, []
        elif stray.found(fields, feed.lines):
            problems.add(path, feed.first, kind=SWALLOWED, detail="is a quote missing?", last_line=feed.last)
            yield feed.first, []
        elif any(field.strip() for field in fields):
            yield feed.first, fields


def _in_own_words(error: csv.Error) -> str:
    return next((ours for theirs, ours in _OWN_WORDS.items() if str(error).startswith(theirs)), str(error))


class _Feed:
    """The lines of a file, for the csv module, which doesn't say which of them a record runs over.

    Of the record that is read: `lines` by their numbers, and `wrong`, why one is not UTF-8, with its number.
    """

    def __init__(self, path: Path, problems: Problems) -> None:
        self._lines = numbered_lines(path, problems)
        self.begin_record()

    def begin_record(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self.wrong = (0, "")

    @property
    def first(self) -> int:
        return self.lines[0][0]

    @property
    def last(self) -> int:
        return self.lines[-1][0]

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = next(self._lines)
        try:
            decoded = line.decode("utf-8")
        except UnicodeDecodeError as error:
            self.wrong = number, f"byte {error.start}"
            decoded = line.decode("utf-8", "surrogateescape")
        self.lines.append((number, decoded))
        return decoded


class _StrayQuotes:
    """Tells a quoted text that has swallowed records from one that has line breaks of its own.

    It has swallowed some when more than half of its lines read as records by themselves: they have as many fields as
    the header, no quotes doubled as within a text, and beside the text only values, digits aside, that other lines
    have in the same columns.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._text = path, text
        self._names: list[str] = []
        self._beginning: list[tuple[int, str]] | None = None
        self._latest: deque[tuple[int, str]] = deque(maxlen=NEIGHBOURS)

    def found(self, fields: Sequence[str], lines: list[tuple[int, str]]) -> bool:
        """Whether the next record, of these fields and lines, has swallowed others."""
        if len(lines) == 1:
            if not self._names:
                self._names = [name.strip() for name in fields] if any(map(str.strip, fields)) else []
            self._latest.append(lines[0])
            return False
        records = [values for _, line in lines if (values := self._values(line))]
        if 2 * len(records) <= len(lines):
            return False
        counted = dict([*self._neighbours(), *lines]).values()  # each once, by its number
        counts = Counter(value for line in counted for value in self._values(line))
        known = [values for values in records if all(counts[value] > 1 for value in values)]
        return 2 * len(known) > len(lines)

    def _neighbours(self) -> Iterable[tuple[int, str]]:
        """Lines at the file's beginning, and those that were read last."""
        if self._beginning is None:
            start = itertools.islice(numbered_lines(self._path, Problems()), NEIGHBOURS)
            self._beginning = [(number, line.decode("utf-8", "replace")) for number, line in start]
        return [*self._beginning, *self._latest]

    def _values(self, line: str) -> list[tuple[int, str]]:
        """The column and value, digits aside, of what a line says beside the text; none if it reads as no record."""
        written = [cell.strip() for cell in line.split(",")]
        if len(written) != len(self._names) or any(map(_is_within_a_text, written)):
            return []
        cells = [cell.strip('"') for cell in written]
        beside = [
            (place, cell) for place, cell in enumerate(cells) if cell and self._names[place] != self._text
        ]
        return [(place, _DIGITS.sub("0", cell)) for place, cell in beside]


def _is_within_a_text(cell: str) -> bool:
    """Whether what stands between two commas has doubled quotes, which only a quoted text around it explains."""
    return '"' in re.sub('^"((?:[^"]|"")*)"$', "", cell) and '""' in cell


class Csv(JoinedLines):
    """A record a row; in UTF-8, a header first. A person opens it: its texts are no formulas."""

    def write(self, batch: Any) -> None:
        """Adds rows of the schema."""
        columns = [_harmless(column) for column in batch.columns]
        rows = pyarrow.record_batch(columns, names=batch.schema.names)
        pyarrow.csv.write_csv(rows, self.handle, pyarrow.csv.WriteOptions(include_header=False))

    @staticmethod
    def write_header(joined: Any, schema: Any) -> None:
        """Writes the names of the columns."""
        header = schema.empty_table().rename_columns(list(map(spreadsheets.harmless, schema.names)))
        pyarrow.csv.write_csv(header, joined)


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
