"""Records of .csv: a quote that is missing swallows no record in silence, and a text of several lines is read."""

from pathlib import Path

import pytest

from intents.data.formats import csv
from intents.data.problems import Problems
from tests.data.test_sources import read, rejection

RECORDS = [f"track my parcel {i},track" if i % 2 else f"refund me {i},refund" for i in range(60)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.csv"


def with_stray_quotes(first: int, last: int, *, header: str = "text,label") -> str:
    """60 records, of lines 2 to 61, of which the first begins with a quote, and the text of the last ends in one."""
    lines = [header, *RECORDS]
    lines[first - 1] = '"' + lines[first - 1]
    lines[last - 1] = lines[last - 1].replace(",", '",')
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("first", "last"), [(12, 52), (2, 61), (12, 13), (2, 3), (60, 61)])
def test_records_between_two_stray_quotes_are_named_by_their_lines(path: Path, first: int, last: int) -> None:
    path.write_text(with_stray_quotes(first, last))
    message = rejection(path)
    assert "1 problem(s)" in message
    assert f"{path}:{first}: a quoted text spans lines that read as records: is a quote missing?" in message
    assert f" (lines {first} to {last})\n" in message


def test_they_are_found_too_where_labels_come_first_beside_ids_and_broken_rows(path: Path) -> None:
    rows = [f"{i},{'refund' if i % 3 else 'track'},utterance {i}" for i in range(40)]
    rows[7] = rows[7].replace("utterance", '"utterance')
    rows[10], rows[12] = "10,track,well, well", "12,rarest,hi"
    rows[20] += '"'
    path.write_text("\n".join(["id,label,text", *rows]))
    assert "(lines 9 to 22)\n" in rejection(path)


LINES = [
    "hello,\nhow are you,\nBob",
    "你好,请问\n这个多少钱,包邮吗\n谢谢",
    "first, second\n\nthird",
    "well,then\nso,long",
    "a\nb\nc",
    ",\n,\n",
]


@pytest.mark.parametrize("text", LINES)
@pytest.mark.parametrize("header", ["text,label", "label,text", "text,label,split"])
def test_a_quoted_text_of_several_lines_is_read(path: Path, text: str, header: str) -> None:
    cells = {"text": f'"{text}"', "label": "greet", "split": "train"}
    record = ",".join(cells[name] for name in header.split(","))
    others = [",".join({**cells, "text": f"hi {i}"}[name] for name in header.split(",")) for i in range(20)]
    path.write_text("\n".join([header, *others, record, *others]) + "\n", encoding="utf-8")
    assert read(path).rows["text"].tolist()[20] == text


def test_a_quote_that_is_never_closed_is_named_with_all_the_lines_it_takes(path: Path) -> None:
    path.write_text("text,label\n" + 'a,x\n"b,x\n' + "c,x\n" * 50)
    assert f"{path}:3: not CSV: a quote is opened and never closed (lines 3 to 53)\n" in rejection(path)


def test_a_file_of_one_column_has_no_records_to_be_told_from_lines(path: Path) -> None:
    path.write_text('text\n"a\nb\nc"\nd\n')
    assert [fields for _, fields in csv.records(path, Problems())] == [["text"], ["a\nb\nc"], ["d"]]
