"""Reading data.json and noise.json: intents with their utterances, and every bad form named by file and place."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from intents.data.formats import json as formats_json
from tests.data.test_sources import GOOD, read, rejection

WriteJson = Callable[..., Path]
INTENTS = {"greet": ["hello", " hi "], " bye ": ["so long"], "问候": ["你好"]}
DEEP = 100_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data.json"


def test_intents_and_utterances_keep_their_order_and_a_label_loses_the_spaces_around_it(
    write_json: WriteJson,
) -> None:
    corpus = read(write_json("mine/data.json", INTENTS).parent)
    assert corpus.rows.to_dict("records") == [
        {"text": "hello", "label": "greet", "dataset": "data", "split": "", "line": 1},
        {"text": " hi ", "label": "greet", "dataset": "data", "split": "", "line": 2},
        {"text": "so long", "label": "bye", "dataset": "data", "split": "", "line": 3},
        {"text": "你好", "label": "问候", "dataset": "data", "split": "", "line": 4},
    ]
    assert corpus.out_of_scope.empty
    assert (corpus.name, corpus.arrives_split, corpus.needs_cleaning) == ("mine", False, False)


def test_a_byte_order_mark_is_no_part_of_the_first_intent(data: Path) -> None:
    data.write_bytes(b"\xef\xbb\xbf" + json.dumps(INTENTS).encode())
    assert read(data).rows["label"].tolist() == ["greet", "greet", "bye", "问候"]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_chinese_in_gb18030_is_read_and_noted_as_of_the_other_formats(data: Path, mark: str) -> None:
    intents = {"查询订单": ["我想查询一下订单的状态", "什么时候可以送到"], "问候": ["你好，在吗"]}
    noise = data.with_name("noise.json")
    for file, content in ((data, intents), (noise, ["今天的天气怎么样？我们出去走走吧"])):
        text = mark + json.dumps(content, ensure_ascii=False, indent=2)
        file.write_bytes(text.encode("gb18030"))
    corpus = read(data)
    assert corpus.rows["label"].tolist() == ["查询订单", "查询订单", "问候"]
    assert corpus.rows["text"].tolist() == ["我想查询一下订单的状态", "什么时候可以送到", "你好，在吗"]
    assert corpus.out_of_scope["text"].tolist() == ["今天的天气怎么样？我们出去走走吧"]
    said = "it is not UTF-8 and was read as GB18030 (GBK), by all its bytes"
    assert corpus.notes == (f"{data}: {said}", f"{noise}: {said}")


def test_an_encoding_that_is_not_certain_is_refused(data: Path) -> None:
    for encoding, text in (("gbk", "你好"), ("big5", "我想查詢訂單的狀態，請問什麼時候會送到？可以退款嗎？")):
        data.write_bytes(json.dumps({"a": [text]}, ensure_ascii=False).encode(encoding))
        assert f"{data}: not JSON in UTF-8 ('utf-8' codec can't decode" in rejection(data)


def test_noise_json_beside_data_json_is_its_out_of_scope_rows(write_json: WriteJson) -> None:
    data = write_json("mine/data.json", INTENTS)
    noise = write_json("mine/noise.json", ["moo", " baa "])
    for named in (data, data.parent):
        corpus = read(named)
        assert corpus.files == (data, noise)
        assert corpus.out_of_scope.to_dict("records") == [
            {"text": "moo", "kind": "given", "dataset": "noise", "split": "", "line": 1},
            {"text": " baa ", "kind": "given", "dataset": "noise", "split": "", "line": 2},
        ]


def test_noise_that_is_named_replaces_the_one_beside_the_corpus(write_json: WriteJson) -> None:
    data = write_json("mine/data.json", INTENTS)
    write_json("mine/noise.json", ["moo"])
    other = write_json("elsewhere/silence.json", ["hush"])
    assert read(data, noise=str(other)).out_of_scope["text"].tolist() == ["hush"]


def test_the_formats_of_corpus_and_noise_may_differ(write_json: WriteJson, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(GOOD)
    noise = write_json("noise.json", ["moo"])
    corpus = read(tmp_path / "rows.jsonl")
    assert corpus.files == (tmp_path / "rows.jsonl", noise)
    assert corpus.out_of_scope["text"].tolist() == ["moo"]
    assert corpus.needs_cleaning


def test_an_empty_list_of_noise_gives_no_out_of_scope_row(write_json: WriteJson) -> None:
    data = write_json("data.json", INTENTS)
    write_json("noise.json", [])
    corpus = read(data)
    assert corpus.out_of_scope.empty
    assert list(corpus.out_of_scope) == ["text", "kind", "dataset", "split", "line"]


BAD_FILES = {
    "truncated": (b'{"a": ["x", "y"', ":1: not JSON in UTF-8 (Expecting ',' delimiter"),
    "truncated on its third line": (b'{"a":\n["x"],\n"b"', ":3: not JSON in UTF-8"),
    "empty": (b"", ":1: not JSON in UTF-8 (Expecting value"),
    "two documents": (b'{"a": ["x"]} {"b": ["y"]}', ":1: not JSON in UTF-8 (Extra data"),
    "UTF-16 with its mark": ('{"a": ["x"]}'.encode("utf-16"), "not JSON in UTF-8"),
    "UTF-16 without": ('{"a": ["x"]}'.encode("utf-16-le"), "not JSON in UTF-8"),
    "a cp1252 byte": (b'{"a": ["caf\xe9"]}', "not JSON in UTF-8 ('utf-8' codec can't decode byte 0xe9"),
    "NaN": (b'{"a": ["x", NaN]}', "not JSON in UTF-8 (NaN is not JSON)"),
    "infinity": (b'{"a": ["x", -Infinity]}', "not JSON in UTF-8 (-Infinity is not JSON)"),
    "a duplicate key": (b'{"a": ["x"], "a": ["y"]}', "the key 'a' stands twice"),
    "a huge integer": (b'{"a": [' + b"9" * 5000 + b"]}", "not JSON in UTF-8"),
    "deep lists": (b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}", "nested too deeply"),
    "deep objects": (b'{"a":' * DEEP + b"1" + b"}" * DEEP, "nested too deeply"),
    "a list": (b'["x"]', ": expected an object {intent: [utterance, …]}, found a list"),
    "a string": (b'"x"', ": expected an object {intent: [utterance, …]}, found a str"),
    "null": (b"null", ": expected an object {intent: [utterance, …]}, found a NoneType"),
}


@pytest.mark.parametrize(("content", "found"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_file_that_is_no_object_of_intents_is_named_with_what_is_wrong(
    data: Path, content: bytes, found: str
) -> None:
    data.write_bytes(content)
    message = rejection(data)
    assert message.startswith(f"{data}:")
    assert found in message
    assert len(message) < 400


BAD_INTENTS = {
    "an object for a list": ('{"greet": ["hi"], "a": {"x": 1}}', "not a list of utterances: intent 'a'"),
    "a string for a list": ('{"greet": ["hi"], "a": "x"}', "not a list of utterances: intent 'a'"),
    "null for a list": ('{"greet": ["hi"], "a": null}', "not a list of utterances: intent 'a'"),
    "a blank intent": ('{"greet": ["hi"], " ": ["x"]}', "the intent's name is blank: intent ' '"),
    "a surrogate intent": (
        '{"greet": ["hi"], "\\udfff": ["x"]}',
        "the intent's name holds a lone surrogate: intent '\\udfff'",
    ),
    "a NUL in an intent": (
        '{"greet": ["hi"], "a\\u0000": ["x"]}',
        "the intent's name holds a NUL character: intent 'a\\x00'",
    ),
    "a null utterance": ('{"a": ["hi", null]}', "text is missing: utterance 2 of intent 'a'"),
    "a number": ('{"a": ["hi", 5]}', "text is not a string: utterance 2 of intent 'a' 5"),
    "a list": ('{"a": ["hi", ["x"]]}', "text is not a string: utterance 2 of intent 'a' ['x']"),
    "a blank utterance": ('{"a": ["hi", " \\u3000"]}', "text is blank: utterance 2 of intent 'a'"),
    "a NUL": ('{"a": ["hi", "\\u0000"]}', "text holds a NUL character: utterance 2 of intent 'a'"),
    "a surrogate": ('{"a": ["hi", "\\ud800"]}', "text holds a lone surrogate: utterance 2 of intent 'a'"),
}


@pytest.mark.parametrize(("content", "problem"), BAD_INTENTS.values(), ids=BAD_INTENTS.keys())
def test_a_bad_intent_or_utterance_is_named_by_file_intent_and_position(
    data: Path, content: str, problem: str
) -> None:
    data.write_text(content, encoding="utf-8")
    message = rejection(data)
    assert "1 problem(s) in the corpus" in message
    assert f"{data}: {problem}" in message


def test_all_problems_of_data_and_noise_are_shown_together(write_json: WriteJson) -> None:
    data = write_json("data.json", {"a": ["", 1], "b": "x"})
    noise = write_json("noise.json", ["moo", None])
    message = rejection(data)
    assert "4 problem(s)" in message
    assert f"{noise}: text is missing: utterance 2 of the list" in message


BAD_NOISE = {
    "an object": (b'{"a": ["x"]}', ": expected a list of utterances, found a dict"),
    "a string": (b'"moo"', ": expected a list of utterances, found a str"),
    "empty": (b"", ":1: not JSON in UTF-8 (Expecting value"),
    "deep lists": (b"[" * DEEP + b"]" * DEEP, ": nested too deeply"),
    "NaN": (b"[NaN]", "not JSON in UTF-8 (NaN is not JSON)"),
    "null": (b'["moo", null]', ": text is missing: utterance 2 of the list"),
    "an object for an utterance": (b'["moo", {"text": "x"}]', ": text is not a string: utterance 2 of the"),
    "a blank": (b'["moo", " "]', ": text is blank: utterance 2 of the list"),
}


@pytest.mark.parametrize(("content", "problem"), BAD_NOISE.values(), ids=BAD_NOISE.keys())
def test_bad_noise_is_named_by_file_and_position(
    write_json: WriteJson, tmp_path: Path, content: bytes, problem: str
) -> None:
    data = write_json("data.json", INTENTS)
    (tmp_path / "noise.json").write_bytes(content)
    message = rejection(data)
    assert f"{tmp_path / 'noise.json'}" in message
    assert problem in message


def test_a_file_too_large_to_be_read_whole_is_refused_unread(data: Path) -> None:
    data.touch()
    with data.open("r+b") as handle:
        handle.truncate(formats_json.MAX_JSON_BYTES + 1)
    assert f"{data}: over 64 MB; write a corpus this large as .jsonl" in rejection(data)


@pytest.mark.parametrize("fifo", ["pipe.json"], indirect=True)
def test_a_directory_a_fifo_or_nothing_in_place_of_a_json_file_is_refused(
    write_json: WriteJson, tmp_path: Path, fifo: Path
) -> None:
    data = write_json("data.json", INTENTS)
    folder = tmp_path / "folder.json"
    folder.mkdir()
    for noise, found in (
        (folder, "a directory"),
        (fifo, "something that is not a regular file"),
        (tmp_path / "absent.json", "nothing"),
    ):
        message = rejection(data, noise=str(noise))
        assert f"{noise}: expected a readable .json file, found {found}" in message
    assert f"{fifo}: expected a readable .json file, found something" in rejection(fifo)
    assert f"{folder}: neither data.json nor a .jsonl file" in rejection(folder)
    assert "there is no such file or directory" in rejection(tmp_path / "absent.json")
