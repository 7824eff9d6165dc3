"""The columns of what is written: the line a row was read from, what was carried along of it, and the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow
import pyarrow.parquet

from intents.data.formats import chunks

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


@dataclass(frozen=True)
class Answered:
    """What became of the texts of a chunk."""

    places: Sequence[int]
    """Which of the texts have an answer, ascending."""
    answers: Any
    """An Arrow batch of `answer_columns.ANSWERS`, a row a place."""
    refused: Sequence[tuple[int, str]]
    """The places of the other texts, and why they have none."""


def rows(chunk: chunks.Chunk, answered: Answered, *, schema: Any) -> Any:
    """The rows to write of those texts of a chunk that have an answer, an Arrow batch."""
    places = answered.places
    lines, carried = chunk.lines, [] if chunk.beside is None else chunk.beside.columns
    if len(places) < len(lines):
        lines = [lines[place] for place in places]
        carried = [column.take(pyarrow.array(places, pyarrow.int64())) for column in carried]
    arrays = [pyarrow.array(lines, pyarrow.int64()), *carried, *answered.answers.columns]
    return pyarrow.record_batch(arrays, schema=schema)
