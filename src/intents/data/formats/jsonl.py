"""A .jsonl file: one JSON object a line."""

from pathlib import Path
from typing import Any

import pandas as pd

from intents.data.formats import strict_json
from intents.data.formats.lines import numbered_lines
from intents.data.formats.rows import Row, RowTable, checked_row
from intents.data.problems import Problems, Rejected, listed


def read(path: Path, problems: Problems, *, needs_label: bool) -> pd.DataFrame:
    """Columns text, label, split, kind, line; bad lines go to `problems`. Raises DataError."""
    before = problems.counts.total()
    table = RowTable()
    for number, line in numbered_lines(path, problems):
        if not line.strip():
            continue
        row = _parse_row(line, needs_label=needs_label)
        if isinstance(row, Rejected):
            problems.add(path, number, row.kind, row.detail)
        else:
            table.add(row, number)
    if not len(table) and problems.counts.total() == before:
        problems.add(path, 0, "the file holds no rows")
    return table.frame()


def parse_object(line: bytes) -> dict[str, Any] | Rejected:
    """The JSON object that the line holds, or why it holds none."""
    try:
        row = strict_json.parse(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Rejected("not UTF-8", f"byte {error.start}")
    except RecursionError:
        return Rejected("nested too deeply")
    except ValueError as error:
        return Rejected("not one JSON object", str(error)[:120])
    return row if isinstance(row, dict) else Rejected("not a JSON object", f"a {type(row).__name__}")


def no_key(name: str, row: dict[str, Any]) -> Rejected:
    """Why an object without that key holds no row."""
    return Rejected(
        f"{name} is missing", f"the keys are {listed(list(row))}" if row else "the object is empty"
    )


def _parse_row(line: bytes, *, needs_label: bool) -> Row | Rejected:
    row = parse_object(line)
    if isinstance(row, Rejected):
        return row
    missing = [name for name in (("text", "label") if needs_label else ("text",)) if name not in row]
    if missing:
        return no_key(missing[0], row)
    return checked_row(
        row.get("text"), row.get("label"), row.get("split"), row.get("kind"), needs_label=needs_label
    )
