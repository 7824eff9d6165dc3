"""Which module reads and writes a file, by the end of its name."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from intents.data.formats import csv, json, jsonl, parquet
from intents.data.formats.chunks import Source, Wanted
from intents.data.formats.lines import require_file

WRITERS: dict[str, type[jsonl.Jsonl | csv.Csv | parquet.Parquet]] = {
    ".jsonl": jsonl.Jsonl,
    ".csv": csv.Csv,
    ".parquet": parquet.Parquet,
}
READERS: dict[str, Callable[..., pd.DataFrame]] = {
    ".jsonl": jsonl.read,
    ".json": json.read,
    ".csv": csv.read,
    ".parquet": parquet.read,
}
READABLE = " or ".join(READERS)
_OPENERS = {".jsonl": jsonl.opened, ".csv": csv.opened, ".parquet": parquet.opened}


def opened(path: Path, wanted: Wanted) -> Source:
    """The file, its columns checked. Raises DataError."""
    require_file(path)
    return _OPENERS[path.suffix.lower()](path, wanted)
