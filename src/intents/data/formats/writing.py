"""What formats are written by: shards, joined into one file at the end."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from intents.data.formats import chunks
from intents.errors import ScoringError


class JoinedLines:
    """What .jsonl and .csv have in common: shards are joined byte by byte, behind a header where there is one."""

    def __init__(self, path: Path, _: Any) -> None:
        self.handle = path.open("wb")

    def close(self) -> None:
        """Ends the shard."""
        self.handle.close()

    @staticmethod
    def write_header(joined: Any, schema: Any) -> None:
        """Writes what stands before the first row."""

    @classmethod
    def join(cls, shards: Sequence[Path], target: Path, *, schema: Any) -> None:
        """Writes the rows of the shards, in order, into one file."""
        with target.open("wb") as joined:
            cls.write_header(joined, schema)
            for shard in shards:
                with shard.open("rb") as handle:
                    shutil.copyfileobj(handle, joined)


def check_schema(schema: Any, output: Path) -> None:
    """Raises ScoringError where the output's format can't hold a column."""
    for field in schema if output.suffix.lower() != ".parquet" else ():
        is_nested = pyarrow.types.is_nested(field.type) and output.suffix.lower() == ".csv"
        if field.name != chunks.LINE and (_holds_bytes(field.type) or is_nested):
            raise ScoringError(
                f"{output}: column {field.name} holds {str(field.type)[:60]}, which {output.suffix} can't. Name the "
                "columns to carry along, keep=…, or write .parquet."
            )


def _holds_bytes(kind: Any) -> bool:
    kinds = pyarrow.types
    if kinds.is_struct(kind):
        return any(_holds_bytes(field.type) for field in kind.fields)
    if kinds.is_map(kind):
        return _holds_bytes(kind.key_type) or _holds_bytes(kind.item_type)
    if hasattr(kind, "value_type"):  # a dictionary, or a list of any kind
        return _holds_bytes(kind.value_type)
    are_bytes = (kinds.is_binary, kinds.is_large_binary, kinds.is_fixed_size_binary, kinds.is_binary_view)
    return any(are(kind) for are in are_bytes)
