"""Chunks: consecutive rows of a file, small enough that a few of them fit in memory whatever the file's size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow

from intents.data.problems import Problems

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


class Gathering:
    """Rows on their way into a chunk."""

    def __init__(self, schema: Any, refusals: Refusals) -> None:
        self.schema, self.refusals = schema, refusals
        self._begin()

    def _begin(self) -> None:
        self.lines: list[int] = []
        self.texts: list[object] = []
        self.cells: list[Sequence[object]] = []
        self.characters = 0

    @property
    def is_full(self) -> bool:
        return len(self.lines) + len(self.refusals.found) >= ROWS or self.characters >= CHARACTERS

    @property
    def is_empty(self) -> bool:
        return not self.lines and not self.refusals.found

    def add(self, line: int, text: object, *, cells: Sequence[object], characters: int) -> None:
        """Takes a row and what is carried along of it, a value a column."""
        self.lines.append(line)
        self.texts.append(text)
        self.cells.append(cells)
        self.characters += characters

    def taken(self) -> Chunk:
        """The chunk of what was gathered; the gathering begins anew."""
        columns = list(zip(*self.cells, strict=True)) or [()] * len(self.schema)
        arrays = [_array(column, field.type) for column, field in zip(columns, self.schema, strict=True)]
        beside = pyarrow.record_batch(arrays, schema=self.schema) if len(self.schema) else None
        found, self.refusals.found = self.refusals.found, []
        end = max([*self.lines[-1:], *(refused.line for refused in found)])
        chunk = Chunk(self.lines, self.texts, beside, found, end)
        self._begin()
        return chunk


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
