"""JSON as RFC 8259 has it, no key twice; and a .json file, {intent: [utterance, …]} or a list of out-of-scope ones."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from intents.data.formats.encodings import GB18030
from intents.data.formats.lines import require_file, unreadable, writing
from intents.data.formats.rows import Row, RowTable
from intents.data.problems import Problems, Rejected, quoted
from intents.data.utterances import check_string
from intents.errors import DataError

MAX_JSON_BYTES = 64 << 20


def read(path: Path, problems: Problems, *, needs_label: bool) -> pd.DataFrame:
    """Columns text, label, split, kind, line (the utterance's number); bad ones go to `problems`. Raises DataError."""
    found = _parse_file(path, problems)
    if not isinstance(found, dict if needs_label else list):
        expected = "an object {intent: [utterance, …]}" if needs_label else "a list of utterances"
        raise DataError(f"{path}: expected {expected}, found a {type(found).__name__}.")
    groups = found if isinstance(found, dict) else {"": found}
    table = RowTable()
    for intent, utterances in groups.items():
        place = f"intent {quoted(intent)}" if needs_label else "the list"
        rejected = _check_group(intent, utterances) if needs_label else None
        if rejected:
            problems.add(path, 0, kind=rejected.kind, detail=place)
            continue
        for position, text in enumerate(utterances, start=1):
            rejected = check_string("text", text)
            if rejected:
                detail = f"utterance {position} of {place} {rejected.detail}"
                problems.add(path, 0, kind=rejected.kind, detail=detail.rstrip())
            else:
                table.add(Row(text, intent.strip(), "", ""), len(table) + 1)
    return table.frame()


def _check_group(intent: str, utterances: object) -> Rejected | None:
    rejected = check_string("the intent's name", intent)
    if rejected is None and not isinstance(utterances, list):
        return Rejected("not a list of utterances")
    if rejected is None and not utterances:
        return Rejected("an intent without utterances")
    return rejected


def _parse_file(path: Path, problems: Problems) -> Any:
    """The value that the file holds, in UTF-8 or certainly in GB18030, which is noted."""
    require_file(path)
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise DataError(f"{path}: over {MAX_JSON_BYTES >> 20} MB; write a corpus this large as .jsonl.")
        how = writing(path)
        for note in how.notes:
            problems.note(f"{path}: {note}")
        text = path.read_text(encoding="utf-8" if how.is_utf_8 else GB18030)
        return parse(text.removeprefix("\ufeff"))
    except OSError as error:
        raise unreadable(path, error) from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply. Expected intents with lists of utterances.") from error
    except ValueError as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"{path}{line}: not JSON in UTF-8 ({str(error)[:120]}). Mend the file.") from error


def parse(text: str) -> Any:
    """The value that `text` holds. Raises ValueError, and RecursionError where it is nested too deeply."""
    return _DECODER.decode(text)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        key, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {key[:60]!r} stands twice")
    return row


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant)
