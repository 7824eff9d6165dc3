"""Which module reads and writes a file, by the end of its name."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from intents.data.formats import csv, intents_json, jsonl, parquet
from intents.data.formats.chunks import Source, Wanted
from intents.data.formats.csv import Csv, open_csv
from intents.data.formats.jsonl import Jsonl, open_jsonl
from intents.data.formats.lines import require_file
from intents.data.formats.parquet import Parquet, open_parquet
from intents.data.formats.writing import Format

WRITERS: dict[str, type[Format]] = {".jsonl": Jsonl, ".csv": Csv, ".parquet": Parquet}
READERS: dict[str, Callable[..., pd.DataFrame]] = {
    ".jsonl": jsonl.read,
    ".json": intents_json.read,
    ".csv": csv.read_csv,
    ".parquet": parquet.read_parquet,
}
READABLE = " or ".join(READERS)


def opened(path: Path, wanted: Wanted) -> Source:
    """The file, its columns checked. Raises DataError."""
    require_file(path)
    return _OPENERS[path.suffix.lower()](path, wanted)


_OPENERS = {".jsonl": open_jsonl, ".csv": open_csv, ".parquet": open_parquet}
