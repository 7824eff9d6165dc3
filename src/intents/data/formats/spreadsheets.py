"""Tables that a person opens in a spreadsheet: no text of theirs is a formula there, and each is read back as it was.

A spreadsheet takes a cell for a formula by its first character, and may part a file at other separators than ours. So
an apostrophe goes before each place where a formula could begin (OWASP, CSV Injection).
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd

FORMULA = r"[ ']*[=+\-@\t\r\n＝＋－＠]"
"""What a formula begins with; apostrophes before it too, so that one can be told from those that a text had."""
SEPARATORS = r",;|\t\r\n"
_BEGINS = re.compile(rf"(?<![^{SEPARATORS}])(?={FORMULA})")
_HARMLESS = re.compile(rf"(?<![^{SEPARATORS}])'(?={FORMULA})")


def harmless(text: str) -> str:
    """The text with an apostrophe wherever a formula could begin."""
    return _BEGINS.sub("'", text)


def as_it_was(cell: str) -> str:
    """The text that `harmless` was given, or that a person typed into the cell."""
    return _HARMLESS.sub("", cell)


def harmless_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table with every text harmless, those of its index and its columns' names too."""
    return table.map(_harmless_cell).rename(index=_harmless_cell, columns=_harmless_cell)


def write(table: pd.DataFrame, path: Path, *, index: bool = False) -> None:
    """Writes the table as .csv for a person to open."""
    harmless_table(table).to_csv(path, index=index)


def _harmless_cell(cell: Any) -> Any:
    return harmless(cell) if isinstance(cell, str) else cell
