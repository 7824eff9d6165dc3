"""Every bad input a corpus may bring, in every form of file: a sentence that names it, or a corpus that is whole.

ROWS are the kinds of accident; each case below says which one it is of, and no kind is without a case. Accidents that
take more than one file are in test_bad_corpora.py.
"""

# ruff: noqa: E501 (a case a line)

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from intents.data.corpus import Corpus
from intents.errors import DataError
from tests.data.files import parquet

Load = Callable[..., Corpus]
ROWS = (
    "empty file; only blank lines",
    "UTF-8 with BOM; CRLF",
    "UTF-16; a cp1252 byte; truncated last line; two objects on a line; a JSON array",
    "text that is null, a number, a list; blank text; missing label",
    "NaN; a duplicate key; a 5,000-digit integer; 100,000-deep nesting",
    "U+2028 inside a text",
    "a lone surrogate; NUL",
    "a 50 MB line",
    "one intent only; an intent with one row; fewer test rows than intents",
    "the same text under two intents; test rows that repeat training rows",
    "a directory, a FIFO or an unreadable file where a file is meant",
    "the raw corpora missing",
    "a label of 4 kB, with spaces around it, or ../x",
)
(
    EMPTY,
    MARKS,
    BROKEN,
    MISSING,
    STRICT,
    SEPARATOR,
    SURROGATE,
    LONG,
    FEW,
    REPEATS,
    NO_FILE,
    NO_CORPUS,
    LABELS,
) = ROWS
PAIRS = [(f"{intent}{i}", intent) for intent in ("apple", "pear") for i in range(40)]
JSONL = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in PAIRS).encode()
CSV = b"text,label\n" + "".join(f"{text},{label}\n" for text, label in PAIRS).encode()
INTENTS = {intent: [text for text, label in PAIRS if label == intent] for intent in ("apple", "pear")}
GOOD = b'{"text": "hello", "label": "greet"}\n'
DEEP = 100_000


def row(text: str, label: str = '"a"', rest: str = "") -> bytes:
    """A line of JSON whose values are written as given."""
    return GOOD + f'{{"text": {text}, "label": {label}{rest}}}\n'.encode()


def column(texts: list[object], labels: list[object]) -> bytes:
    return parquet({"text": texts, "label": labels})


# (kind of accident, file, its content, what the error says after the file's path)
REFUSED: dict[str, tuple[str, str, bytes, str]] = {
    "empty .jsonl": (EMPTY, "c.jsonl", b"", ": the file holds no rows"),
    "blank .jsonl": (EMPTY, "c.jsonl", b"\n \r\n\t\n", ": the file holds no rows"),
    "empty .csv": (EMPTY, "c.csv", b"", ": the file holds no rows"),
    "blank .csv": (EMPTY, "c.csv", b"\n \r\n,\n", ": the file holds no rows"),
    "a .csv of its header alone": (EMPTY, "c.csv", b"text,label\n", ": the file holds no rows"),
    "empty .json": (EMPTY, "data.json", b"", ":1: not JSON in UTF-8 (Expecting value"),
    "a .json without intents": (EMPTY, "data.json", b"{}", " holds no utterance"),
    "empty .parquet": (EMPTY, "c.parquet", b"", ": can't be read as Parquet"),
    "a .parquet without rows": (EMPTY, "c.parquet", column([], []), ": the file holds no rows"),
    "UTF-16 .jsonl": (BROKEN, "c.jsonl", JSONL.decode().encode("utf-16"), ":1: the file is UTF-16: save it as"),
    "UTF-16 .jsonl, no mark": (BROKEN, "c.jsonl", JSONL.decode().encode("utf-16-le"), ":1: the file is UTF-16"),
    "UTF-16 .jsonl, no mark, other end first": (
        BROKEN,
        "c.jsonl",
        JSONL.decode().encode("utf-16-be"),
        ":1: the file is UTF-16",
    ),
    "UTF-16 .csv": (BROKEN, "c.csv", CSV.decode().encode("utf-16"), ":1: the file is UTF-16"),
    "UTF-16 .json": (BROKEN, "data.json", json.dumps(INTENTS).encode("utf-16"), ": not JSON in UTF-8"),
    "a cp1252 byte in .jsonl": (BROKEN, "c.jsonl", GOOD + b'{"text": "caf\xe9", "label": "a"}', ":2: not UTF-8"),
    "a cp1252 byte in .csv": (BROKEN, "c.csv", CSV + b"caf\xe9,a\n", ":82: not UTF-8: byte 3"),
    "a cp1252 byte in .json": (BROKEN, "data.json", b'{"a": ["caf\xe9"]}', ": not JSON in UTF-8"),
    "bytes that are not UTF-8 in .parquet": (
        BROKEN,
        "c.parquet",
        column(["hello", b"caf\xe9"], ["a", "a"]),
        ":2: text is not a string: b'caf\\xe9'",
    ),
    "truncated .jsonl": (BROKEN, "c.jsonl", GOOD + GOOD[:-9], ":2: not one JSON object"),
    "truncated .csv, in quotes": (BROKEN, "c.csv", CSV + b'"so lo', ":82: not CSV: a quote is opened and never closed"),
    "truncated .csv, in a row": (BROKEN, "c.csv", CSV + b"so lo", ":82: another number of fields than the header: 1"),
    "truncated .json": (BROKEN, "data.json", b'{"a": ["x",', ":1: not JSON in UTF-8"),
    "truncated .parquet": (BROKEN, "c.parquet", column(["x"], ["a"])[:-5], ": can't be read as Parquet"),
    "half a .parquet": (BROKEN, "c.parquet", column(["x"], ["a"])[:300], ": can't be read as Parquet"),
    "a .parquet of text": (BROKEN, "c.parquet", CSV, ": can't be read as Parquet"),
    "two objects on a line": (BROKEN, "c.jsonl", GOOD.strip() * 2, ":1: not one JSON object: Extra data"),
    "a JSON array on a line": (BROKEN, "c.jsonl", b'["hello", "greet"]', ":1: not a JSON object: a list"),
    "a JSON array as .jsonl": (BROKEN, "c.jsonl", b"[\n" + GOOD.strip() + b",\n", ":1: not one JSON object"),
    "a JSON array as data.json": (BROKEN, "data.json", b"[" + GOOD + b"]", ": expected an object {intent: ["),
    "a .csv with semicolons": (
        BROKEN,
        "c.csv",
        CSV.replace(b",", b";"),
        ":1: no column text or label: the columns are 'text;label'; its fields are separated by semicolons",
    ),
    "a .csv with tabs": (BROKEN, "c.csv", CSV.replace(b",", b"\t"), "separated by tabs, not commas"),
    "a .csv without its header": (BROKEN, "c.csv", b"hi,greet\n", ":1: no column text or label: the columns are 'hi'"),
    "a .csv with a column twice": (BROKEN, "c.csv", b"text,label,text\nhi,a,lo\n", ":1: a column stands twice: text"),
    "a .csv row with a bare comma": (
        BROKEN,
        "c.csv",
        CSV + b"well, hello,greet\n",
        ":82: another number of fields than the header: 3, the header has 2; quote a text that holds a comma",
    ),
    "text after a quote": (BROKEN, "c.csv", CSV + b'"hi" there,greet\n', ":82: not CSV: text follows a closing quote; write"),
    "an old Macintosh's line end in a .csv": (BROKEN, "c.csv", CSV + b"hi,a\rlo,a\n", ":82: not CSV: a line ends in \\r alone"),
    "a .csv in cp1252": (
        BROKEN,
        "c.csv",
        CSV + "café,a\n".encode("cp1252") * 40,
        ":82: the file is not UTF-8: byte 3, and 39 more lines; save it as UTF-8 (in Excel: CSV UTF-8)",
    ),
    "a .jsonl in cp1252": (
        BROKEN,
        "c.jsonl",
        '{"text": "café", "label": "a"}\n'.encode("cp1252") * 40,
        ":1: the file is not UTF-8: byte 13, and 39 more lines; save it as UTF-8",
    ),
    "a .csv in GBK, cut short in a character": (
        BROKEN,
        "c.csv",
        CSV + ("我想查询订单,查询\n" * 40).encode("gbk")[:-2],
        ":82: the file is not UTF-8: byte 0, and 39 more lines; save it as UTF-8",
    ),
    "null text": (MISSING, "c.jsonl", row("null"), ":2: text is missing"),
    "no text": (MISSING, "c.jsonl", b'{"label": "a"}', ":1: text is missing"),
    "a number for text": (MISSING, "c.jsonl", row("5"), ":2: text is not a string: 5"),
    "a list for text": (MISSING, "c.jsonl", row('["hi"]'), ":2: text is not a string: ['hi']"),
    "lists in lists for text": (
        MISSING,
        "c.jsonl",
        row("[" * 900 + "]" * 900),
        ":2: text is not a string: [[[[",
    ),
    "blank text": (MISSING, "c.jsonl", row('" \\u3000\\t"'), ":2: text is blank"),
    "invisible text": (MISSING, "c.jsonl", row('"\\u200b\\ufeff \\u2060"'), ":2: text is blank: it has only invisible"),
    "missing label": (MISSING, "c.jsonl", b'{"text": "hi"}', ":1: label is missing"),
    "null label": (MISSING, "c.jsonl", row('"hi"', "null"), ":2: label is missing"),
    "a number for a label": (MISSING, "c.jsonl", row('"hi"', "5"), ":2: label is not a string: 5"),
    "blank label": (MISSING, "c.jsonl", row('"hi"', '"  "'), ":2: label is blank"),
    "an object for a split": (MISSING, "c.jsonl", row('"hi"', rest=', "split": {}'), ":2: split is not a string: {}"),
    "blank text in .csv": (MISSING, "c.csv", CSV + b'" ",a\n', ":82: text is blank"),
    "blank label in .csv": (MISSING, "c.csv", CSV + b"hi,\n", ":82: label is blank"),
    "a .csv without labels": (MISSING, "c.csv", b"text,intent\nhi,a\n", ":1: no column label: the columns are 'text', 'int"),
    "null text in .parquet": (MISSING, "c.parquet", column(["x", None], ["a", "a"]), ":2: text is missing"),
    "only null texts in .parquet": (MISSING, "c.parquet", column([None], ["a"]), ":1: text is missing"),
    "null label in .parquet": (MISSING, "c.parquet", column(["x", "y"], [None, "a"]), ":1: label is missing"),
    "blank text in .parquet": (MISSING, "c.parquet", column([" "], ["a"]), ":1: text is blank"),
    "numbers for texts in .parquet": (MISSING, "c.parquet", column([1], ["a"]), ": column text is not of strings: it is int"),
    "numbers for labels in .parquet": (MISSING, "c.parquet", column(["x"], [7]), ": column label is not of strings"),
    "lists for texts in .parquet": (MISSING, "c.parquet", column([["x"]], ["a"]), ": column text is not of strings: it is list"),
    "a .parquet without labels": (MISSING, "c.parquet", parquet({"text": ["x"], "y": ["a"]}), ": no column label: the columns"),
    "null in .json": (MISSING, "data.json", b'{"a": ["hi", null]}', ": text is missing: utterance 2 of intent 'a'"),
    "an object in .json": (MISSING, "data.json", b'{"a": {"x": 1}}', ": not a list of utterances: intent 'a'"),
    "an empty list in .json": (MISSING, "data.json", b'{"a": [], "b": ["x"]}', ": an intent without utterances: intent 'a'"),
    "NaN": (STRICT, "c.jsonl", row('"hi"', rest=', "x": NaN'), ":2: not one JSON object: NaN is not JSON"),
    "a duplicate key": (STRICT, "c.jsonl", row('"hi"', rest=', "label": "b"'), ":2: not one JSON object: the key 'label'"),
    "a 5,000-digit integer": (STRICT, "c.jsonl", row('"hi"', rest=', "x": ' + "9" * 5000), ":2: not one JSON object"),
    "a 4,000-digit integer for text": (STRICT, "c.jsonl", row("9" * 4000), ":2: text is not a string: 9999"),
    "deep lists": (STRICT, "c.jsonl", row('"hi"', rest=', "x": ' + "[" * DEEP + "]" * DEEP), ":2: nested too deeply"),
    "deep objects": (STRICT, "c.jsonl", b'{"text":' * DEEP, ":1: nested too deeply"),
    "deep lists in .json": (STRICT, "data.json", b"[" * DEEP + b"]" * DEEP, ": nested too deeply"),
    "a lone surrogate": (SURROGATE, "c.jsonl", row('"hi \\ud800"'), ":2: text holds a lone surrogate"),
    "a lone surrogate in a label": (SURROGATE, "c.jsonl", row('"hi"', '"\\udfff"'), ":2: label holds a lone surrogate"),
    "a lone surrogate in .json": (SURROGATE, "data.json", b'{"a": ["\\ud800"]}', ": text holds a lone surrogate: utterance 1"),
    "a surrogate's bytes in .csv": (SURROGATE, "c.csv", CSV + b"hi \xed\xa0\x80,a\n", ":82: not UTF-8: byte 3"),
    "NUL": (SURROGATE, "c.jsonl", row('"h\\u0000i"'), ":2: text holds a NUL character"),
    "NUL in .csv": (SURROGATE, "c.csv", CSV + b"h\x00i,a\n", ":82: text holds a NUL character"),
    "NUL in .parquet": (SURROGATE, "c.parquet", column(["h\0i"], ["a"]), ":1: text holds a NUL character"),
    "a large text in .json": (LONG, "data.json", b'{"a": ["' + b"x" * (1 << 20) + b'x"]}', ": text is too long: utterance 1"),
    "a large text in .parquet": (LONG, "c.parquet", column(["é" * (1 << 21)], ["a"]), ":1: text is too long: 2097152 characters"),
    "a large field in .csv": (LONG, "c.csv", CSV + b'"' + (b"x" * 999 + b"\n") * 1100 + b'",a\n', ":82: not CSV: a field of over 1,048,576 characters"),
    "a quote that is never closed": (LONG, "c.csv", CSV + b'"hi' + CSV * 300, ":82: not CSV: a quote is opened and never closed (lines 82 to 24381)"),
    "one intent only": (FEW, "c.jsonl", b"".join(JSONL.splitlines(keepends=True)[:40]), "c holds one intent only, 'apple' (40 rows)"),
    "one intent only, .csv": (FEW, "c.csv", CSV[: CSV.index(b"pear")], "c holds one intent only, 'apple' (40 rows)"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_used_is_refused_and_named_by_file_and_line(
    case: str, tmp_path: Path, load: Load
) -> None:
    _, name, content, found = REFUSED[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load(path)
    message = str(caught.value)
    assert (f"{path}{found}" if found[0] == ":" else found) in message
    assert len(message) < 4000


# (kind of accident, file, its content, a text and a label that must be in the corpus)
KEPT: dict[str, tuple[str, str, bytes, tuple[str, str]]] = {
    "a byte-order mark in .jsonl": (MARKS, "c.jsonl", b"\xef\xbb\xbf" + JSONL, ("apple0", "apple")),
    "a byte-order mark in .csv": (MARKS, "c.csv", b"\xef\xbb\xbf" + CSV, ("apple0", "apple")),
    "a byte-order mark in .json": (MARKS, "data.json", b"\xef\xbb\xbf" + json.dumps(INTENTS).encode(), ("apple0", "apple")),
    "CRLF in .jsonl": (MARKS, "c.jsonl", JSONL.replace(b"\n", b"\r\n"), ("pear39", "pear")),
    "CRLF in .csv": (MARKS, "c.csv", CSV.replace(b"\n", b"\r\n"), ("pear39", "pear")),
    "both in .csv": (MARKS, "c.csv", b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"), ("apple0", "apple")),
    "an old Macintosh's .csv": (MARKS, "c.csv", CSV.replace(b"\n", b"\r"), ("pear39", "pear")),
    "an old Macintosh's .jsonl": (MARKS, "c.jsonl", JSONL.replace(b"\n", b"\r"), ("pear39", "pear")),
    "a text of 200,000 characters in .csv": (LONG, "c.csv", CSV + b"x" * 200_000 + b",pear\n", ("x" * 200_000, "pear")),
    "a text of 200,000 characters in .jsonl": (LONG, "c.jsonl", JSONL + row('"' + "x" * 200_000 + '"', '"pear"')[len(GOOD):], ("x" * 200_000, "pear")),
    "a .csv in GBK": (MARKS, "c.csv", CSV + ("你好，我想查询订单,pear\n" * 9).encode("gbk"), ("你好，我想查询订单", "pear")),
    "a .jsonl in GB18030": (MARKS, "c.jsonl", JSONL + ('{"text": "你好，我想查询一下订单，𠮷", "label": "pear"}\n' * 9).encode("gb18030"), ("你好，我想查询一下订单，𠮷", "pear")),
    "U+2028 in .jsonl": (SEPARATOR, "c.jsonl", JSONL + '{"text": "a\u2028b", "label": "pear"}'.encode(), ("a\u2028b", "pear")),
    "U+2028 in .csv": (SEPARATOR, "c.csv", CSV + "a\u2028b,pear\n".encode(), ("a\u2028b", "pear")),
    "U+0085 in .csv": (SEPARATOR, "c.csv", CSV + "a\x85b,pear\n".encode(), ("a\x85b", "pear")),
    "a line break in a quoted text": (SEPARATOR, "c.csv", CSV + b'"a\r\n\nb",pear\n', ("a\r\n\nb", "pear")),
    "U+2028 in .parquet": (SEPARATOR, "c.parquet", column([t for t, _ in PAIRS] + ["a\u2028b"], [i for _, i in PAIRS] + ["pear"]), ("a\u2028b", "pear")),
    "a label with spaces around it": (LABELS, "c.jsonl", JSONL + row('"hi"', '" \\t pear\\u3000"')[len(GOOD):], ("hi", "pear")),
    "a label with spaces around it, .csv": (LABELS, "c.csv", CSV + b"hi,  pear \n", ("hi", "pear")),
    "a label with spaces around it, .parquet": (LABELS, "c.parquet", column([t for t, _ in PAIRS], [f" {i} " for _, i in PAIRS]), ("pear39", "pear")),
}  # fmt: skip


@pytest.mark.parametrize("case", KEPT)
def test_what_only_looks_bad_is_kept_whole(case: str, tmp_path: Path, load: Load) -> None:
    _, name, content, pair = KEPT[case]
    path = tmp_path / name
    path.write_bytes(content)
    corpus = load(path)
    assert corpus.intents == ("apple", "pear")
    assert pair in set(zip(corpus.rows["text"], corpus.rows["label"], strict=True))


@pytest.mark.parametrize(("name", "start"), [("c.jsonl", b'{"text": "'), ("c.csv", b'text,label\n"')])
def test_a_50_mb_line_is_refused_in_bounded_memory(
    tmp_path: Path, load: Load, name: str, start: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(start + b"x" * 50_000_000 + b'", "label": "a"}\n')
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="line too long"):
            load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000


def test_every_kind_of_accident_has_a_case() -> None:
    covered = {case[0] for case in (*REFUSED.values(), *KEPT.values())}
    others = {REPEATS, NO_FILE, NO_CORPUS}  # test_bad_corpora.py
    assert covered | others == set(ROWS)
    assert not covered & others
