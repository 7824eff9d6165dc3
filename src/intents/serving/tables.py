"""Which column of a table holds the texts: the one named text, or the only one."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from intents.serving.refusal import bad_request

TEXT = "text"


def texts(asked: Any) -> Any:
    """The texts of a pandas table or column, None where one is missing; anything else as it is. Raises Refusal."""
    if isinstance(asked, pd.DataFrame):
        if asked.shape == (0, 0):
            return []
        asked = asked.iloc[:, place(list(asked.columns))]
    if isinstance(asked, pd.Series):
        return asked.astype(object).where(asked.notna(), None).tolist()
    return asked


def place(names: Sequence[object]) -> int:
    """The place among a table's columns of the one that holds the texts. Raises Refusal."""
    named = [number for number, name in enumerate(names) if name == TEXT]
    if len(named) > 1:
        raise bad_request(f"inputs: {len(named)} columns are named {TEXT}, expected one")
    if not named and len(names) != 1:
        raise bad_request(
            f"inputs: {len(names)} columns, none named {TEXT}; name the column of the texts so, or send no other"
        )
    return named[0] if named else 0


def picked(names: Sequence[object], rows: Sequence[Sequence[Any]]) -> list[Any]:
    """The texts of rows that have a value for each of the columns. Raises Refusal."""
    if not names and not rows:
        return []
    wanted = place(names)
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise bad_request(f"row {number}: {len(row)} values, expected {len(names)}, one for each column")
    return [row[wanted] for row in rows]
