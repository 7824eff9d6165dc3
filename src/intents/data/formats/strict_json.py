"""Strict JSON: as RFC 8259 has it, and no key twice."""

import json
from collections import Counter
from typing import Any


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
