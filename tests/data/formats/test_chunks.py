"""Chunks of a file: every row once, in order, from any line on; what is no row refused with its line."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from intents.data.formats import by_suffix, chunks
from intents.data.formats.chunks import Chunk, Refused, Wanted
from intents.data.problems import Problems
from intents.errors import DataError
from intents.serving.files import answer_columns

SUFFIXES = (".jsonl", ".csv", ".parquet")


def wanted(column: str = "text", *, keep: tuple[str, ...] = (), as_lines: bool = False) -> Wanted:
    return Wanted(column, keep, as_lines, answer_columns.OURS)


def all_chunks(path: Path, after: int = 0, what: Wanted | None = None) -> list[Chunk]:
    return list(by_suffix.opened(path, what or wanted()).chunks(after))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_row_comes_once_in_order_with_what_stands_beside_it(suffix: str, write: Callable[..., Path]):
    rows = [{"id": str(number), "text": f"你好 {number}"} for number in range(5000)]
    found = all_chunks(write(f"rows{suffix}", rows))
    assert max(len(chunk.lines) for chunk in found) <= chunks.ROWS
    assert [text for chunk in found for text in chunk.texts] == [row["text"] for row in rows]
    beside = pyarrow.Table.from_batches([chunk.beside for chunk in found])
    assert beside.column_names == ["id", "text"]
    assert beside.column("id").to_pylist() == [row["id"] for row in rows]
    first = 2 if suffix == ".csv" else 1
    assert [line for chunk in found for line in chunk.lines] == list(range(first, first + 5000))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_follows_the_end_of_any_chunk_is_the_rest(suffix: str, write: Callable[..., Path]):
    path = write(f"rows{suffix}", [{"text": f"你好\n{number}"} for number in range(5000)])
    found = all_chunks(path)
    assert len(found) > 2
    for done, chunk in enumerate(found, start=1):
        rest = all_chunks(path, after=chunk.end)
        assert list(itertools.chain(*(c.texts for c in rest))) == [t for c in found[done:] for t in c.texts]
        assert [line for c in rest for line in c.lines] == [line for c in found[done:] for line in c.lines]


def test_what_is_no_row_is_refused_with_its_line_and_is_not_met_again_later(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'{"text": "a"}\n\nnot json\n["text"]\n{"text": "\xff"}\n{"text": NaN}\n'
        + b'{"text": "'
        + b"x" * (1 << 20)
        + b'"}\n{"text": "b"}\n'
    )
    (chunk,) = all_chunks(path)
    assert (chunk.texts, chunk.lines) == (["a", "b"], [1, 8])
    kinds = [(refused.line, refused.reason.split(":")[0]) for refused in chunk.refused]
    assert kinds == [
        (3, "not one JSON object"),
        (4, "not a JSON object"),
        (5, "not UTF-8"),
        (6, "not one JSON object"),
        (7, "line too long"),
    ]
    (rest,) = all_chunks(path, after=5)
    assert [refused.line for refused in rest.refused] == [6, 7]
    (last,) = all_chunks(path, after=7)
    assert (last.texts, last.refused) == (["b"], [])


def test_a_record_with_another_number_of_fields_is_refused(tmp_path: Path):
    path = tmp_path / "rows.csv"
    path.write_text('id,text\n1,"a, b"\n2,a, b\n3,c\n', encoding="utf-8")
    (chunk,) = all_chunks(path)
    assert chunk.texts == ["a, b", "c"]
    detail = "another number of fields than the header: 3, the header has 2; quote a text that holds a comma"
    assert chunk.refused == [Refused(3, detail)]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_file_in_gb18030_is_read_from_any_line_on_and_noted(tmp_path: Path, suffix: str):
    path = tmp_path / f"gbk{suffix}"
    line = "你好呀\n" if suffix == ".csv" else '{"text": "你好呀"}\n'
    path.write_bytes(b"text\n" * (suffix == ".csv") + line.encode("gbk") * 2000)
    source = by_suffix.opened(path, wanted())
    assert source.notes == [f"{path}: it is not UTF-8 and was read as GB18030 (GBK), by all its bytes"]
    found = list(source.chunks(0))
    assert [text for chunk in found for text in chunk.texts] == ["你好呀"] * 2000
    assert not any(chunk.refused for chunk in found)
    assert [chunk.end for chunk in source.chunks(found[0].end)] == [chunk.end for chunk in found[1:]]


def test_a_csv_in_an_encoding_that_is_not_certain_is_refused_once_and_a_damaged_row_alone(tmp_path: Path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"id,text\n" + "1,café\n2,good\n".encode("cp1252") * 500)
    with pytest.raises(
        DataError, match=r"rows.csv:2: the file is not UTF-8: byte 5, and 499 more lines; save"
    ):
        by_suffix.opened(path, wanted())
    path.write_bytes(b"id,text\n" + b"1,good\n" * 50 + b"2,caf\xe9\n3,caf\xe9\n")
    (chunk,) = all_chunks(path)
    assert len(chunk.texts) == 50
    assert [refused.line for refused in chunk.refused] == [52, 53]


def test_line_ends_of_an_old_macintosh_are_line_ends(tmp_path: Path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b'id,text\r1,hi\r2,"a\rb"\r3,lo\r')
    source = by_suffix.opened(path, wanted())
    (chunk,) = source.chunks(0)
    assert (chunk.texts, chunk.lines, source.rows) == (["hi", "a\nb", "lo"], [2, 3, 5], 4)


def test_each_line_that_a_stray_quote_swallows_is_refused(tmp_path: Path):
    path = tmp_path / "rows.csv"
    rows = [f"{number},hello {number}" for number in range(60)]
    rows[10] = rows[10].replace("hello", '"hello')
    rows[50] += '"'
    path.write_text("\n".join(["id,text", *rows]))
    (chunk,) = all_chunks(path)
    assert chunk.lines == [*range(2, 12), *range(53, 62)]
    assert [refused.line for refused in chunk.refused] == list(range(12, 53))
    assert "lines 12 to 52" in chunk.refused[0].reason
    (rest,) = all_chunks(path, after=52)
    assert (rest.lines, rest.refused) == (list(range(53, 62)), [])
    rows[50] = rows[50].strip('"')
    path.write_text("\n".join(["id,text", *rows]))
    (chunk,) = all_chunks(path)
    assert [refused.line for refused in chunk.refused] == list(range(12, 62))


def test_a_key_that_is_missing_is_told_with_those_that_are_there(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"message": "hi", "id": 1}\n{}\n')
    (chunk,) = all_chunks(path)
    assert [refused.reason for refused in chunk.refused] == [
        "text is missing: the keys are 'message', 'id'",
        "text is missing: the object is empty",
    ]


def test_records_that_are_no_csv_are_refused_chunk_by_chunk(tmp_path: Path):
    path = tmp_path / "in.csv"
    path.write_text("text\n" + '"a"b\n' * 3000, encoding="utf-8")
    found = all_chunks(path)
    assert max(len(chunk.refused) for chunk in found) <= chunks.ROWS
    assert sum(len(chunk.refused) for chunk in found) == 3000


def test_a_record_of_which_one_line_is_not_utf_8_is_refused_whole_and_once(tmp_path: Path):
    path = tmp_path / "in.csv"
    path.write_bytes(b'text\n"a\n\xff\xfe\nb"\nlast\n')
    (chunk,) = all_chunks(path)
    assert list(chunk.texts) == ["last"]
    assert [row.line for row in chunk.refused] == [3]


def test_a_chunk_of_long_lines_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chunks, "CHARACTERS", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "%s"}\n' % ("x" * 400) * 10, encoding="utf-8")
    assert [len(chunk.texts) for chunk in all_chunks(path)] == [3, 3, 3, 1]


def test_a_line_of_jsonl_is_carried_as_it_was_written_unless_a_part_is_wanted(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"n": 1.10, "text": "a", "x": {"y": [1]}}  \n', encoding="utf-8")
    (whole,) = all_chunks(path, what=wanted(as_lines=True))
    assert whole.beside.column(0).to_pylist() == [b'{"n": 1.10, "text": "a", "x": {"y": [1]}}']
    (part,) = all_chunks(path, what=wanted(keep=("x",), as_lines=True))
    assert part.beside.column(0).to_pylist() == [b'{"x": {"y": [1]}}']


def test_columns_that_the_answers_have_are_not_carried_along(write: Callable[..., Path]):
    path = write("rows.csv", [{"text": "a", "intent": "b", "confidence": "1"}])
    assert by_suffix.opened(path, wanted()).schema.names == ["text"]


def test_a_key_that_first_comes_up_after_the_columns_were_settled_is_named(write: Callable[..., Path]):
    rows = [{"text": "a"}] * (chunks.ROWS + 5) + [{"text": "a", "late": "b"}]
    source = by_suffix.opened(write("rows.jsonl", rows), wanted())
    assert [chunk.beside.schema.names for chunk in source.chunks(0)] == [["text"], ["text"]]
    (note,) = source.notes
    assert f"'late', first met in line {len(rows)}" in note


def test_half_a_surrogate_pair_beside_a_text_is_written_out(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "name": "\\ud83d"}\n', encoding="utf-8")
    (chunk,) = all_chunks(path)
    assert chunk.beside.column("name").to_pylist() == ["\\ud83d"]


def test_a_row_with_half_a_surrogate_pair_in_a_key_is_refused_where_keys_become_columns(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    late = '{"text": "b", "\\udfff": 1}\n'
    path.write_text('{"text": "hi", "\\ud800": 1, "x": 2}\n' + '{"text": "a"}\n' * chunks.ROWS + late)
    refused = [row for chunk in all_chunks(path) for row in chunk.refused]
    assert refused == [
        Refused(1, "a key holds a lone surrogate: '\\ud800'"),
        Refused(chunks.ROWS + 2, "a key holds a lone surrogate: '\\udfff'"),
    ]
    assert by_suffix.opened(path, wanted()).schema.names == ["text"]
    for what in (wanted(keep=("text",)), wanted(as_lines=True)):  # not carried along; carried along as it is
        found = all_chunks(path, what=what)
        assert sum(len(chunk.texts) for chunk in found) == chunks.ROWS + 2
        assert not any(chunk.refused for chunk in found)


@pytest.mark.parametrize(
    "beside",
    [
        ["a", "CAFEX", "=b", "CAFEX"],
        [["a"], ["CAFEX"], [], ["b", "CAFEX"]],
        pyarrow.array(["a", "CAFEX", "a", "CAFEX"]).dictionary_encode(),
    ],
    ids=["strings", "lists", "a dictionary"],
)
def test_a_row_of_parquet_with_a_string_beside_its_text_that_is_not_utf_8_is_refused(
    beside: Any, tmp_path: Path
):
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": list("hilo"), "name": beside}), path)
    path.write_bytes(path.read_bytes().replace(b"CAFEX", b"CAF\xe9X"))
    (chunk,) = all_chunks(path)
    assert chunk.refused == [
        Refused(2, "column name is not UTF-8, or damaged"),
        Refused(4, "column name is not UTF-8, or damaged"),
    ]
    assert (chunk.lines, chunk.texts, chunk.end) == ([1, 3], ["h", "l"], 4)
    assert chunk.beside.column("text").to_pylist() == ["h", "l"]
    assert len(chunk.beside.column("name").to_pylist()) == 2
    assert all_chunks(path, what=wanted(keep=("text",)))[0].texts == list("hilo")  # it is not carried along


@pytest.mark.parametrize(
    ("header", "problem"),
    [(b"te\xffxt,id", "not UTF-8: byte 2"), ("text,名字".encode("gbk"), "not UTF-8: byte 5")],
)
@pytest.mark.parametrize("row", [b"hi,1", b"text,id"])
def test_a_header_that_is_not_utf_8_is_told_and_no_row_taken_for_it(
    header: bytes, problem: str, row: bytes, tmp_path: Path
):
    path = tmp_path / "rows.csv"
    path.write_bytes(header + b"\n" + row + b"\nlo,2\n")
    with pytest.raises(DataError, match=rf"rows\.csv:1: {problem}\nBy kind"):
        by_suffix.opened(path, wanted())
    problems = Problems()
    assert by_suffix.READERS[".csv"](path, problems, needs_label=False).empty
    assert problems.shown == [f"{path}:1: {problem}"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("what", [wanted("message"), wanted(keep=("id", "message"))])
def test_a_column_that_is_not_there_is_an_error_that_names_those_that_are(
    suffix: str, what: Wanted, write: Callable[..., Path]
):
    path = write(f"rows{suffix}", [{"id": "1", "text": "a"}])
    with pytest.raises(DataError, match=r"no column message: the columns are 'id', 'text'\. Pass column="):
        by_suffix.opened(path, what)


def test_a_column_of_numbers_is_no_column_of_texts(write: Callable[..., Path]):
    path = write("rows.parquet", [{"text": 1}])
    with pytest.raises(DataError, match="column text holds int64, expected strings"):
        by_suffix.opened(path, wanted())


def test_a_text_of_parquet_that_is_missing_or_not_utf_8_is_left_to_whoever_judges_texts(tmp_path: Path):
    cells = pyarrow.array([b"a", None, b"\xff"], pyarrow.binary()).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"text": cells}), tmp_path / "rows.parquet")
    (chunk,) = all_chunks(tmp_path / "rows.parquet")
    assert chunk.texts == ["a", None, b"\xff"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_damaged_or_not_there_is_an_error_with_its_name(suffix: str, tmp_path: Path):
    path = tmp_path / f"rows{suffix}"
    with pytest.raises(DataError, match="found nothing"):
        by_suffix.opened(path, wanted())
    path.write_bytes(b"\xff\xfet\x00e\x00x\x00t\x00\n\x00")
    with pytest.raises(DataError, match=str(path)):
        by_suffix.opened(path, wanted())
