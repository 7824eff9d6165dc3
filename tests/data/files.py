"""The bytes of files that tests read."""

import io

import pyarrow
import pyarrow.parquet


def parquet(columns: dict[str, list[object]], *, row_group_size: int | None = None) -> bytes:
    """A .parquet file. A column with bytes among its strings claims to be UTF-8 whatever the bytes are."""
    table = pyarrow.table({name: _array(values) for name, values in columns.items()})
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, row_group_size=row_group_size)
    return buffer.getvalue()


def _array(values: list[object]) -> pyarrow.Array:
    if not any(isinstance(value, bytes) for value in values):
        return pyarrow.array(values)
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    binary = pyarrow.array(encoded, type=pyarrow.binary())
    return pyarrow.Array.from_buffers(pyarrow.string(), len(binary), binary.buffers())
