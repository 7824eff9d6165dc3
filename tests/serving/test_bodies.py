"""Bodies of requests: each means one list of texts, or is refused in one line that quotes nothing of it."""

import io
import json
from typing import Any

import pandas as pd
import pytest

from intents.serving import bodies
from intents.serving.bodies import Asked
from intents.serving.refusal import Refusal

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
NO_COLUMN = "columns, none named text; name the column of the texts so, or send no other"
NO_HEADER = "the body's first line: expected the columns' names, one of them text"
OTHER_KEYS = "the body: expected inputs, and params if wanted, and nothing else; found "
WRONG_SPLIT = "dataframe_split: expected an object with the lists columns and data, index if wanted"


def parquet(**columns: list[Any]) -> bytes:
    file = io.BytesIO()
    pd.DataFrame(columns).to_parquet(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ({"inputs": ["a", None]}, ["a", None]),
        ({"inputs": "for the model to refuse"}, "for the model to refuse"),
        ({"dataframe_records": []}, []),
        ({"dataframe_records": [{"id": "7", "text": "a"}, {"text": "b"}, {"id": "9"}]}, ["a", "b", None]),
        ({"dataframe_records": [{"utterance": "a"}]}, ["a"]),
        ({"dataframe_split": {"columns": [], "data": []}}, []),
        ({"dataframe_split": {"columns": ["id", "text"], "index": [5], "data": [["7", "a"]]}}, ["a"]),
        ({"dataframe_split": {"columns": ["0"], "data": [["a"], [None]]}}, ["a", None]),
    ],
)
def test_json_means_its_texts(content: Any, texts: Any):
    assert bodies.read(json.dumps(content).encode(), JSON) == Asked(texts, {})


def test_json_may_have_a_byte_order_mark_and_a_charset():
    body = '\ufeff{"inputs": ["é"], "params": {"top_k": 2, "threshold": -1}}'.encode()
    asked = Asked(["é"], {"top_k": 2, "threshold": -1})
    assert bodies.read(body, "Application/JSON; charset=UTF-8") == asked
    assert bodies.read(b'{"inputs": [], "params": null}', JSON) == Asked([], {})


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (b"text\n", []),
        (b"\xef\xbb\xbfid,text\r\n7,a\r\n8,b", ["a", "b"]),
        (b'text,id\n"a, ""b""\nc",7\n', ['a, "b"\nc']),
        (b"text\nNA\nnull\n15\n", ["NA", "null", "15"]),
        (b'text\n""\n', [""]),
    ],
)
def test_csv_means_its_column_text(body: bytes, texts: list[str]):
    assert bodies.read(body, CSV) == Asked(texts, {})


def test_parquet_means_its_column_text_or_its_only_one():
    assert bodies.read(parquet(id=["7", "8"], text=["a", None]), PARQUET).texts == ["a", None]
    assert bodies.read(parquet(utterance=["a"]), PARQUET).texts == ["a"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON: Expecting value (character 0)"),
        (b'{"inputs": ["secret"', "the body is not JSON: Expecting ',' delimiter (character 20)"),
        ('{"inputs": ["secret"]}'.encode("utf-16"), "the body is not UTF-8: byte 0"),
        (b'["secret"]', "the body: expected an object, found a list"),
        (b"7", "the body: expected an object, found a number"),
        (b"{}", OTHER_KEYS + "neither"),
        (b'{"inputs": ["a"], "instances": ["b"]}', OTHER_KEYS + "inputs, instances"),
        (b'{"instances": ["a"]}', OTHER_KEYS + "instances"),
        (b'{"inputs": [], "dataframe_split": {}}', OTHER_KEYS + "dataframe_split, inputs"),
        (b'{"inputs": [], "secret": 1}', OTHER_KEYS + "a key of another name, inputs"),
        (b'{"inputs": ["a"], "inputs": ["a"]}', "the body: an object has a key twice"),
        (b'{"inputs": [], "params": {"top_k": 1, "top_k": 2}}', "the body: an object has a key twice"),
        (b'{"dataframe_records": [{"text": "a", "text": "b"}]}', "the body: an object has a key twice"),
        (b'{"dataframe_records": {"text": "a"}}', "dataframe_records: expected a list of objects"),
        (b'{"dataframe_records": [{"id": "a", "lang": "b"}]}', f"inputs: 2 {NO_COLUMN}"),
        (b'{"dataframe_records": [{}]}', f"inputs: 0 {NO_COLUMN}"),
        (b'{"dataframe_split": ["a"]}', WRONG_SPLIT),
        (b'{"dataframe_split": {"columns": "text", "data": []}}', WRONG_SPLIT),
        (
            b'{"dataframe_split": {"columns": ["text"], "data": ["a"]}}',
            "dataframe_split: expected each row of data to be a list",
        ),
        (
            b'{"dataframe_split": {"columns": ["text"], "data": [["a"], ["b", "c"]]}}',
            "row 1: 2 values, expected 1, one for each column",
        ),
        (
            b'{"dataframe_split": {"columns": ["text", "text"], "data": [["a", "b"]]}}',
            "inputs: 2 columns are named text, expected one",
        ),
        (b"[" * 100_000, "the body is nested too deeply"),
        (b'{"inputs": [' + b"1" * 5000 + b"]}", "the body holds a number of thousands of digits"),
    ],
)
def test_json_that_means_two_things_or_none_is_refused(body: bytes, message: str):
    check_refused(body, JSON, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", NO_HEADER),
        (b"secret\nsecret\n", NO_HEADER),
        (b"id,lang\n7,secret\n", NO_HEADER),
        (b"text;id\nsecret;7\n", NO_HEADER),
        (b"text,text\na,b\n", "inputs: 2 columns are named text, expected one"),
        (b"text\nsecret, more\n", "row 0: 2 values, expected 1, one for each column"),
        (b"id,text\n7,a\n8\n", "row 1: 1 values, expected 2, one for each column"),
        (b"text\na\n\nb\n", "row 1: the line is blank"),
        (b"text\na\n\n", "row 1: the line is blank"),
        (b'text\n"secret\n', "the body is not CSV: unexpected end of data, in line 2"),
        (b'text\na\n"b"c\n', "the body is not CSV: ',' expected after '\"', in line 3"),
        ("text\n密\n".encode("gbk"), "the body is not UTF-8: byte 5"),
    ],
)
def test_csv_that_means_two_things_or_none_is_refused(body: bytes, message: str):
    check_refused(body, CSV, message)


def test_damaged_or_ambiguous_parquet_is_refused():
    whole = parquet(text=["secret"] * 100)
    for damaged in (
        b"",
        b"PAR1",
        whole[:-1],
        whole[: len(whole) // 2],
        whole[:8] + b"\xff" * 40 + whole[48:],
    ):
        check_refused(damaged, PARQUET, "the body can't be read as Parquet")
    check_refused(parquet(id=["7"], lang=["zh"]), PARQUET, f"inputs: 2 {NO_COLUMN}")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"secret": 1}, "params: expected an object with top_k, threshold or both, and nothing else"),
        ([], "params: expected an object with top_k, threshold or both, and nothing else"),
        (0, "params: expected an object with top_k, threshold or both, and nothing else"),
        ({"top_k": "secret"}, "params: top_k=a string, expected a whole number from 0 to 1000."),
        ({"top_k": True}, "params: top_k=a boolean, expected a whole number from 0 to 1000."),
        ({"top_k": None}, "params: top_k=null, expected a whole number from 0 to 1000."),
        ({"top_k": 1.5}, "params: top_k=1.5, expected a whole number from 0 to 1000."),
        ({"threshold": float("-inf")}, "params: threshold=-inf, expected an energy: any finite number."),
        ({"threshold": [1]}, "params: threshold=a list, expected an energy: any finite number."),
        (
            {"threshold": 10**400},
            f"params: threshold=1{'0' * 39}, expected an energy: any finite number.",
        ),
    ],
)
def test_params_that_can_not_be_heeded_are_refused(params: Any, message: str):
    check_refused(json.dumps({"inputs": ["a"], "params": params}).encode(), JSON, message)


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        (None, f"Content-Type: expected one of {JSON}, {CSV}, {PARQUET}"),
        ("text/plain", f"Content-Type: expected one of {JSON}, {CSV}, {PARQUET}"),
        (f"{JSON}; charset=gbk", "Content-Type: expected no parameter but charset=utf-8"),
        (f"{CSV}; header=absent", "Content-Type: expected no parameter but charset=utf-8"),
    ],
)
def test_a_body_of_another_type_is_refused_as_such(content_type: str | None, message: str):
    check_refused(b'{"inputs": ["a"]}', content_type, message, status=415)


def check_refused(body: bytes, content_type: str | None, message: str, *, status: int = 400) -> None:
    with pytest.raises(Refusal) as refused:
        bodies.read(body, content_type)
    assert (refused.value.message, refused.value.get_http_status_code()) == (message, status)
