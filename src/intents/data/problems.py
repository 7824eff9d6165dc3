"""Problems: what is wrong with the rows of a corpus, collected, counted and shown together."""

import reprlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from intents.errors import DataError

SHOWN_PROBLEMS = 20
SHOWN_CHARACTERS = 60
SHOWN_NAMES = 10
EXPECTED = (
    'Expected, in UTF-8: in .jsonl a JSON object a line, {"text": "...", "label": "..."}; in .csv and '
    '.parquet columns text and label; in .json one object, {"intent": ["...", ...]}. '
    "Mend or delete these rows, then run again."
)
_SHORT = reprlib.Repr()  # goes no deeper than a few levels, where repr of what JSON can nest may not end
_SHORT.maxstring = _SHORT.maxother = SHOWN_CHARACTERS


@dataclass(frozen=True)
class Rejected:
    """Why a value or a row can't be used."""

    kind: str
    detail: str = ""


@dataclass
class Problems:
    """What is wrong with the files read so far; raised together."""

    shown: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    """What a person should know of these files all the same."""

    def note(self, note: str) -> None:
        """Takes a note, once."""
        if note not in self.notes:
            self.notes.append(note)

    def add(self, path: Path, line: int, *, kind: str, detail: str = "", last_line: int = 0) -> None:
        """Notes a problem in a line (in a .parquet file: a row), or in the file as a whole where `line` is 0.

        One of several lines, up to `last_line`, is one problem.
        """
        if last_line > line:
            detail = f"{detail} (lines {line} to {last_line})"
        self.counts[kind] += 1
        if len(self.shown) < SHOWN_PROBLEMS:
            place = f"{path}:{line}" if line else f"{path}"
            self.shown.append(f"{place}: {kind}{': ' + detail if detail else ''}")

    def raise_if_any(self, *, of: str = "the corpus", expected: str = EXPECTED) -> None:
        """Raises DataError with the first problems by file and line, then all of them by kind, then what to do."""
        if not self.counts:
            return
        total = self.counts.total()
        first = f", the first {len(self.shown)} of them" if total > len(self.shown) else ""
        kinds = ", ".join(f"{count} x {kind}" for kind, count in self.counts.most_common())
        raise DataError(
            f"{total} problem(s) in {of}{first}:\n  "
            + "\n  ".join(self.shown)
            + f"\nBy kind: {kinds}."
            + f"\n{expected}"
        )


def quoted(value: object) -> str:
    """The value as Python writes it, shortened in its middle where it is long."""
    return _SHORT.repr(value)


def plain(intent: object) -> str:
    """An intent's name without quotes, shortened, its line breaks escaped: safe in a line."""
    return quoted(intent)[1:-1]


def listed(names: Sequence[str]) -> str:
    """The names, quoted, the first of them where they are many."""
    return ", ".join(map(quoted, names[:SHOWN_NAMES])) + (" …" if len(names) > SHOWN_NAMES else "")
