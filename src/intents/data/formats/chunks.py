"""Chunks: consecutive rows of a file, small enough that a few of them fit in memory whatever the file's size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow

from intents.data.formats.rows import check_columns
from intents.data.problems import Problems
from intents.errors import DataError

ROWS = 1024
"""Of a chunk, at most."""
CHARACTERS = 1 << 23
"""Of a chunk of lines, about, at most."""


class Refused(NamedTuple):
    """A row that can't be scored: its line (in .parquet: its number), and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Chunk:
    """The rows from where the chunk before ends up to line `end`."""

    lines: Sequence[int]
    texts: Sequence[object]
    """What stands where a text is meant."""
    beside: Any
    """What is carried along: an Arrow batch with a row a text."""
    refused: Sequence[Refused]
    """What is not even a row."""
    end: int


@dataclass(frozen=True)
class Source:
    """A file to be scored."""

    rows: int
    """About how many there are, for the progress bar."""
    schema: Any
    """Of what is carried along, an Arrow schema."""
    chunks: Callable[[int], Iterator[Chunk]]
    """The chunks of what follows a line, of all with 0."""
    notes: list[str] = field(default_factory=list)
    """What a person should know of the file; grows while it is read."""


@dataclass(frozen=True)
class Wanted:
    """What is to be read of a file."""

    column: str
    """Where the texts are."""
    keep: tuple[str, ...]
    """Columns to carry along; none named: all."""
    as_lines: bool
    """What is carried along of .jsonl is its lines, in a column LINE, not columns."""
    replaced: tuple[str, ...]
    """Columns that are not carried along because the answers have them."""

    def carried(self, names: Sequence[str]) -> list[str]:
        """Those of the columns that are carried along, in order."""
        return [name for name in (self.keep or names) if name not in self.replaced]

    def check(self, path: Path, names: list[str]) -> None:
        """Raises DataError where a file of these columns doesn't have what is wanted."""
        rejected = check_columns(names, needed=(self.column, *self.keep), once=names)
        if rejected:
            raise DataError(
                f"{path}: {rejected.kind}: {rejected.detail}. Pass column=<where the texts are>, and keep=<columns to "
                "carry along>, as the file has them."
            )


LINE = "line of .jsonl"


class Refusals(Problems):
    """Problems that don't end the reading: kept for the next chunk, those of lines up to `after` forgotten."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after
        self.found: list[Refused] = []

    def add(self, path: Path, line: int, *, kind: str, detail: str = "", last_line: int = 0) -> None:  # noqa: ARG002
        """Each of the lines is refused, so that none is lost without a word."""
        reason = f"{kind}: {detail}" if detail else kind
        reason += f" (lines {line} to {last_line})" if last_line > line else ""
        lines = range(max(line, self.after + 1), max(line, last_line) + 1)
        self.found.extend(Refused(number, reason) for number in lines)

    def taken(self) -> list[Refused]:
        """Those found since they were last taken."""
        found, self.found = self.found, []
        return found


Taken = tuple[object, Sequence[object], int]
"""What is needed of a row: its text, what is carried along (a value a column), and how many characters it has."""


def gathered(rows: Iterable[tuple[int, Taken | None]], schema: Any, *, refusals: Refusals) -> Iterator[Chunk]:
    """Chunks of the rows, each with its line; None in place of one that has gone to `refusals`."""
    lines: list[int] = []
    taken: list[Taken] = []
    characters = 0
    for line, row in rows:
        if row:
            lines.append(line)
            taken.append(row)
            characters += row[2]
        if len(lines) + len(refusals.found) >= ROWS or characters >= CHARACTERS:
            yield _chunk(lines, taken, schema=schema, refused=refusals.taken())
            lines, taken, characters = [], [], 0
    if lines or refusals.found:
        yield _chunk(lines, taken, schema=schema, refused=refusals.taken())


def _chunk(lines: list[int], rows: list[Taken], *, schema: Any, refused: list[Refused]) -> Chunk:
    columns = list(zip(*(cells for _, cells, _ in rows), strict=True)) or [()] * len(schema)
    arrays = [_array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    beside = pyarrow.record_batch(arrays, schema=schema) if len(schema) else None
    end = max([*lines[-1:], *(row.line for row in refused)])
    return Chunk(lines, [text for text, _, _ in rows], beside, refused, end)


def _array(cells: Sequence[Any], kind: Any) -> Any:
    """The cells as Arrow has them; half a surrogate pair, which it can't hold, is written as \\udXXX."""
    try:
        return pyarrow.array(cells, kind)
    except UnicodeEncodeError:
        mended = [
            cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell
            for cell in cells
        ]
        return pyarrow.array(mended, kind)
