"""Records: a .csv file record by record; what is no CSV, and what swallows its neighbours, is told by its lines."""

import csv
import itertools
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from intents.data.formats.lines import numbered_lines
from intents.data.problems import Problems, Rejected
from intents.data.utterances import MAX_CHARACTERS

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


def csv_records(path: Path, problems: Problems, *, text: str = "text") -> Iterator[tuple[int, list[str]]]:
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


def wrong_number(fields: list[str], names: list[str]) -> Rejected:
    """Why a record with another number of fields than the header is none."""
    detail = f"{len(fields)}, the header has {len(names)}; quote a text that holds a comma"
    return Rejected("another number of fields than the header", detail)


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

    It has swallowed some when more than half of the lines behind its first read as records by themselves: they have as
    many fields as the header, and beside the text only values, digits aside, that other lines have in the same columns.
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
        behind = lines[1:]
        records = [values for _, line in behind if (values := self._values(line))]
        if 2 * len(records) <= len(behind):
            return False
        counts = self._counts([*self._neighbours(), *lines])
        known = [values for values in records if all(counts[value] > 1 for value in values)]
        return 2 * len(known) > len(behind)

    def _neighbours(self) -> Iterable[tuple[int, str]]:
        """Lines at the file's beginning, and those that were read last."""
        if self._beginning is None:
            start = itertools.islice(numbered_lines(self._path, Problems()), NEIGHBOURS)
            self._beginning = [(number, line.decode("utf-8", "replace")) for number, line in start]
        return [*self._beginning, *self._latest]

    def _counts(self, lines: Iterable[tuple[int, str]]) -> Counter[tuple[int, str]]:
        """In how many of the lines, each counted once, a value stands in a column."""
        return Counter(value for line in dict(lines).values() for value in self._values(line))

    def _values(self, line: str) -> list[tuple[int, str]]:
        """The column and value, digits aside, of what a line says beside the text; none if it reads as no record."""
        written = [cell.strip() for cell in line.split(",")]
        if len(written) != len(self._names) or not all(map(_is_whole, written)):
            return []
        cells = [cell.strip('"') for cell in written]
        beside = [
            (place, cell) for place, cell in enumerate(cells) if cell and self._names[place] != self._text
        ]
        return [(place, _DIGITS.sub("0", cell)) for place, cell in beside]


def _is_whole(cell: str) -> bool:
    """Whether a field as it is written stands by itself: if quoted, to its end, and with its inner quotes doubled."""
    if not cell.startswith('"'):
        return True
    return len(cell) > 1 and cell.endswith('"') and '"' not in cell[1:-1].replace('""', "")
