"""The columns of what is written: the line a row was read from, what was carried along of it, and the answer."""

from typing import Any

import pyarrow

LINE = "line"
ANSWERS = pyarrow.schema(
    [
        ("intent", pyarrow.string()),
        ("confidence", pyarrow.float64()),
        ("energy", pyarrow.float64()),
        ("in_scope", pyarrow.bool_()),
        ("best_intent", pyarrow.string()),
    ]
)
OURS = (LINE, *ANSWERS.names)
"""Columns that are not carried along where the input has them."""


def schema(beside: Any) -> Any:
    """The schema of the rows that are written, around that of what is carried along."""
    return pyarrow.schema([pyarrow.field(LINE, pyarrow.int64()), *beside, *ANSWERS])
